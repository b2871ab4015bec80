// BodyFilterArgs: ngx.arg of body_filter_by_lua. On the native stack of the filter.
#pragma once

#include <string>
#include <string_view>

namespace mp::lua {

struct BodyFilterArgs {
  std::string_view body;  // ngx.arg[1]; of the caller's bytes, or of `text`
  std::string text;       // when it had several parts, or was replaced
  bool last = false;      // ngx.arg[2]
};

}  // namespace mp::lua
