// ndk.set_var: the functions of the set_* directives.
#include "http/set_functions.hpp"

#include "lua/api.hpp"

namespace mp::lua {

extern const Group kNdkGroup = {"ndk", {}};

}  // namespace mp::lua

extern "C" {

using namespace mp::lua;

// The number of the directive of this name, which must be one of those that make a value of one other; -1 when
// there is none.
int mp_ndk_find(const char* name, std::size_t size) {
  const auto functions = mp::http::set_functions();
  for (std::size_t i = 0; i < functions.size(); ++i) {
    if (functions[i].args == 1 && functions[i].name == view(name, size)) return static_cast<int>(i);
  }
  return -1;
}

// kError: the value makes no sense to the directive, which was logged.
int mp_ndk_run(int directive, const char* text, std::size_t size, Str* out) {
  Request* const r = request();
  if (r == nullptr) return kNoRequest;
  const std::string_view arg = view(text, size);
  std::string_view result;
  if (!mp::http::set_functions()[static_cast<std::size_t>(directive)].run(*r, {&arg, 1}, result)) return kError;
  *out = str(result);
  return kOk;
}
}
