// Chunk: the Lua code that a directive names, inline or in a file. Belongs to the configuration.
#pragma once

#include <string>
#include <string_view>

#include <lua.hpp>

#include "base/result.hpp"
#include "conf/context.hpp"
#include "conf/node.hpp"

namespace mp::http {
class Request;
class Template;
}  // namespace mp::http

namespace mp::lua {

struct Chunk {
  std::string_view code;                 // inline code
  const http::Template* path = nullptr;  // or a file, possibly with variables in its name
  std::string_view file;                 // its absolute path when there are no variables
  std::string name;                      // "=content_by_lua(nginx.conf:12)", what errors call the code
  bool shared_globals = false;           // runs in _G itself (init hooks) instead of behind the write guard
  bool inherited = false;                // came from an outer block
  // Its function in the Vm of the configuration: a reference in the registry, once it was needed there.
  mutable int function = LUA_NOREF;

  bool is_file() const { return path != nullptr; }
  bool is_fixed() const { return !is_file() || !file.empty(); }  // no variables decide which code it is
};

// Reads the code of `node`: the text of NAME_by_lua and NAME_by_lua_block, the file of NAME_by_lua_file.
// `argument` is the position of text or path among the arguments.
Result<Chunk*> make_chunk(conf::Context& ctx, const conf::Node& node, std::size_t argument = 0);

// "=TAG(nginx.conf:12)"
std::string chunk_name(conf::Context& ctx, const conf::Node& node, std::string_view tag);

}  // namespace mp::lua
