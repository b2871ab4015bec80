// mp_field: a header field on its way to a table of Lua (lua/moonphase/core/headers.lua). A name that has a
// number is told by that: its Lua string is there already.
#pragma once

#include <string_view>

#include "base/arena.hpp"
#include "base/ascii.hpp"
#include "base/same_text.hpp"
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
// `before` has the texts that Lua remembers, by number. A value that is the same as the last time comes
// without its text. One that is not forgets the other: Lua has yet to put this one in its place.
inline mp_field known_field(http::HeaderId id, std::string_view value, Str* before) {
  Str& last = before[static_cast<int>(id)];
  if (same_text(value, view(last.data, last.size))) return {static_cast<int>(id), {}, {nullptr, 0}};
  last.size = std::string_view::npos;
  return {static_cast<int>(id), {}, str(value)};
}

// `field` as it stands in a head; its name in lower case unless `raw`.
inline mp_field listed_field(Arena& arena, const http::HeaderField& field, bool raw, Str* before) {
  if (raw) return text_field(field.name, field.value);
  if (field.id != http::HeaderId::unknown) return known_field(field.id, field.value, before);
  char* const name = arena.bytes(field.name.size());
  lower_into(name, field.name);
  return text_field({name, field.name.size()}, field.value);
}

}  // namespace mp::lua
