#include "base/identity.hpp"

#include <cstdlib>

namespace mp {

namespace {

[[gnu::cold, gnu::noinline]] Identity choose() {
  const char* wanted = std::getenv("MOONPHASE_IDENTITY");
  if (wanted != nullptr && std::string_view(wanted) == "nginx") {
    return Identity{"nginx", kCompatibleVersion, "nginx/1.31.5", true};
  }
  return Identity{kProgramName, kProgramVersion, "moonphase/" MP_VERSION, false};
}

}  // namespace

const Identity& identity() {
  static const Identity chosen = choose();
  return chosen;
}

}  // namespace mp
