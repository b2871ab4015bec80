#include "lua/shdict/set.hpp"

#include <fmt/core.h>

namespace mp::lua {
namespace {

constexpr char kTag = 0;

}  // namespace

Status ShdictSet::add(ZoneTable& zones, std::string_view name, std::size_t size) {
  auto zone = zones.declare(name, size, &kTag);
  if (!zone) return fail(std::move(zone.error()));
  if ((*zone)->owner<void>() != nullptr) {
    return fail(fmt::format("lua_shared_dict \"{}\" is already defined as \"{}\"", name, name));
  }
  auto slot = std::make_shared<std::unique_ptr<ShmDict>>();
  (*zone)->set_owner(slot);
  (*zone)->on_attach(ShmDict::index_bytes(size), [slot](Zone& z, const Zone* previous) -> Status {
    *slot = std::make_unique<ShmDict>(z, previous == nullptr);
    return {};
  });
  slots_.push_back(std::move(slot));
  return {};
}

ShmDict* ShdictSet::find(std::string_view name) const {
  for (const Slot& slot : slots_) {
    if (*slot != nullptr && (*slot)->name() == name) return slot->get();
  }
  return nullptr;
}

void ShdictSet::set_logger(log::Logger logger) {
  for (const Slot& slot : slots_) {
    if (*slot != nullptr) (*slot)->set_logger(logger);
  }
}

}  // namespace mp::lua
