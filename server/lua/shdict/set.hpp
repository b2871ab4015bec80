// ShdictSet: the dictionaries of one configuration, in the order of their lua_shared_dict directives.
// Owned by the configuration; the Lua side sees it as an opaque pointer (see ffi.cpp).
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/shm/zone.hpp"
#include "lua/shdict/dict.hpp"

namespace mp::lua {

class ShdictSet {
 public:
  // Declares a dictionary in `zones`; it exists once those are attached. Error texts are lua-nginx-module's.
  Status add(ZoneTable& zones, std::string_view name, std::size_t size);

  std::size_t size() const { return slots_.size(); }
  ShmDict* at(std::size_t i) const { return i < slots_.size() ? slots_[i]->get() : nullptr; }
  ShmDict* find(std::string_view name) const;
  void set_logger(log::Logger logger);

 private:
  // Filled when the zone is attached; shared with the zone, which outlives neither.
  using Slot = std::shared_ptr<std::unique_ptr<ShmDict>>;
  std::vector<Slot> slots_;
};

}  // namespace mp::lua
