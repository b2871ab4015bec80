#include "lua/code/chunk.hpp"

#include <algorithm>

#include "conf/configuration.hpp"
#include "http/template.hpp"

namespace mp::lua {

namespace {

// LuaJIT cuts names behind '=' at this length.
constexpr std::size_t kMaxName = 56;

// "content_by_lua_block" and "content_by_lua_file" are "content_by_lua".
std::string_view tag_of(std::string_view directive) {
  const std::size_t at = directive.find("_by_lua");
  return at == std::string_view::npos ? directive
                                      : directive.substr(0, at + std::string_view("_by_lua").size());
}

}  // namespace

std::string chunk_name(conf::Context& ctx, const conf::Node& node, std::string_view tag) {
  const std::string line = std::to_string(node.end.line);
  std::string_view file = ctx.file_name(node.end);
  const std::string_view prefix = ctx.configuration().conf_prefix();
  if (file.ends_with("/nginx.conf")) {
    file.remove_prefix(file.size() - std::string_view("nginx.conf").size());
  } else {
    if (file.starts_with(prefix) && file.size() > prefix.size()) file.remove_prefix(prefix.size());
    const std::size_t reserved = tag.size() + line.size();
    if (file.size() + reserved > kMaxName) {
      const std::size_t keep = kMaxName > reserved + 3 ? kMaxName - reserved - 3 : 0;
      std::string cut = "=" + std::string(tag) + "(...";
      cut.append(file.substr(file.size() - std::min(keep, file.size())));
      return cut + ":" + line + ")";
    }
  }
  std::string name = "=";
  name.append(tag).append("(").append(file).append(":").append(line).append(")");
  return name;
}

Result<Chunk*> make_chunk(conf::Context& ctx, const conf::Node& node, std::size_t argument) {
  auto* chunk = ctx.arena().make<Chunk>();
  const std::string_view text = node.has_lua ? node.lua_body : node.arg(argument);
  if (node.name.ends_with("_file")) {
    if (text.empty()) return ctx.error(node, "invalid location config: no runnable Lua code");
    auto path = http::Template::compile(ctx, text);
    if (!path) return fail(path.error());
    if (path->constant()) chunk->file = ctx.full_path(text);
    chunk->path = ctx.arena().make<http::Template>(std::move(*path));
    return chunk;
  }
  if (text.empty()) return ctx.error(node, "invalid location config: no runnable Lua code");
  chunk->code = text;
  chunk->name = chunk_name(ctx, node, tag_of(node.name));
  return chunk;
}

}  // namespace mp::lua
