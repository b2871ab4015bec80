#include "lua/api.hpp"

namespace mp::lua {

extern const Group kShdictGroup;
extern const Group kTimeGroup;

std::span<const Group* const> groups() {
  static constexpr const Group* kGroups[] = {
      &kShdictGroup,
      &kTimeGroup,
  };
  return kGroups;
}

}  // namespace mp::lua
