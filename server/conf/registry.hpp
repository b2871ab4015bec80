// Registry: the module list of a server and the directives it knows by name. Immutable once made;
// outlives every Configuration loaded with it.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "conf/module.hpp"

namespace mp::conf {

class Registry {
 public:
  // Gives every configuration type of `modules` its index. The modules must outlive the registry.
  explicit Registry(std::span<const Module* const> modules);

  std::span<const Module* const> modules() const { return modules_; }

  // All rows with this name, in module order; several modules may share one in different scopes.
  std::span<const Directive* const> find(std::string_view name) const;

  // The known directive of `scope` that looks most like `name`, or empty.
  std::string_view nearest(std::string_view name, Scope scope) const;

  // How many objects a set of `level` holds.
  std::uint32_t set_size(Level level) const { return set_sizes_[std::size_t(level)]; }
  // The types of `level` in module order.
  std::span<const ConfType* const> types(Level level) const { return types_[std::size_t(level)]; }

 private:
  std::vector<const Module*> modules_;
  std::unordered_map<std::string_view, std::vector<const Directive*>> directives_;
  std::array<std::uint32_t, kLevels> set_sizes_{};
  std::array<std::vector<const ConfType*>, kLevels> types_;
};

// "http, server, location": the blocks of a scope, for messages.
std::string describe(Scope scope);

}  // namespace mp::conf
