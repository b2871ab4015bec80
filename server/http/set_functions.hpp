// The functions behind the set_* directives (set-misc), which Lua calls as ndk.set_var.NAME: each makes one
// value out of some. The table is constant.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "conf/setting.hpp"
#include "conf/values.hpp"
#include "http/template.hpp"

namespace mp::http {

class Request;

struct SetFunction {
  // Fills `out` with a view that lives as long as the request. False when the arguments make no sense, which
  // was logged.
  using Run = bool (*)(Request& request, std::span<const std::string_view> args, std::string_view& out);

  std::string_view name;  // of the directive
  std::size_t args;       // how many values it takes
  Run run;
};

// All of them, and one by its name; null when there is none.
std::span<const SetFunction> set_functions();
const SetFunction* find_set_function(std::string_view name);

// What the base 32 functions obey.
struct Base32Conf {
  static constexpr conf::Level kLevel = conf::Level::location;
  conf::Setting<bool> padding;
  conf::Setting<std::string_view> alphabet;  // 32 different characters
  Status merge(conf::Context& ctx, const Base32Conf& parent);
};

}  // namespace mp::http
