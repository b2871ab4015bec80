// ndk.set_var: the functions behind the set_* directives, for scripts.
#include "http/set_functions.hpp"
#include "lua/api.hpp"

namespace mp::lua {

extern const Group kNdkGroup = {"ndk", {}};

}  // namespace mp::lua

extern "C" {

using mp::lua::view;

// How many values the directive takes; kDeclined when there is none of this name.
int mp_ndk_arguments(const char* directive, std::size_t size) {
  const auto* function = mp::http::find_set_function(view(directive, size));
  return function != nullptr ? static_cast<int>(function->args) : mp::lua::kDeclined;
}

// kError: the values make no sense, which was logged.
int mp_ndk_call(const char* directive, std::size_t size, const mp::lua::Str* arguments, int count,
                mp::lua::Str* out) {
  constexpr int kMost = 2;
  mp::lua::Request* r = mp::lua::request();
  if (r == nullptr) return mp::lua::kNoRequest;
  const auto* function = mp::http::find_set_function(view(directive, size));
  if (function == nullptr || count > kMost) return mp::lua::kDeclined;
  std::string_view values[kMost];
  for (int i = 0; i < count; ++i) values[i] = r->arena.copy(view(arguments[i].data, arguments[i].size));
  std::string_view result;
  if (!function->run(*r, {values, static_cast<std::size_t>(count)}, result)) return mp::lua::kError;
  *out = mp::lua::str(result);
  return mp::lua::kOk;
}
}
