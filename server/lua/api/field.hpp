// mp_field: a header field on its way to a table of Lua (lua/moonphase/core/headers.lua). A name that has a
// number is told by that: its Lua string is there already.
#pragma once

#include <string_view>

#include "http/header_id.hpp"
#include "lua/api.hpp"

extern "C" struct mp_field {
  int id;  // 0: `name` has it
  mp::lua::Str name;
  mp::lua::Str value;
};

namespace mp::lua {

inline mp_field text_field(std::string_view name, std::string_view value) {
  return {0, str(name), str(value)};
}
inline mp_field known_field(http::HeaderId id, std::string_view value) {
  return {static_cast<int>(id), {}, str(value)};
}

}  // namespace mp::lua
