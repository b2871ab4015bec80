// set_by_lua: an instruction of the rewrite script.
#include "lua/hooks/set_directive.hpp"

#include <memory>
#include <vector>

#include "http/core_conf.hpp"
#include "http/request.hpp"
#include "http/template.hpp"
#include "lua/conf.hpp"
#include "lua/hooks/hooks.hpp"

namespace mp::lua {

namespace {

class SetByLua final : public http::Instruction {
 public:
  SetByLua(const http::Variable& variable, const Chunk& chunk, std::vector<http::Template> arguments)
      : variable_(variable), chunk_(chunk), arguments_(std::move(arguments)) {}

  http::Step run(http::Request& r) const override {
    std::vector<std::string_view> values;
    values.reserve(arguments_.size());
    for (const http::Template& argument : arguments_) values.push_back(argument.evaluate(r));
    std::string_view result;
    if (!lua_set(r, chunk_, values, result)) return http::Step::finish(500);
    if (variable_.set != nullptr) {
      variable_.set(r, variable_, result);
    } else {
      r.set_value(variable_, http::Value::of(result));
    }
    return http::Step::decline();
  }

 private:
  const http::Variable& variable_;
  const Chunk& chunk_;
  std::vector<http::Template> arguments_;
};

}  // namespace

Status set_by_lua(conf::Context& ctx, const conf::Node& node) {
  const std::string_view target = node.arg(0);
  if (!target.starts_with('$') || target.size() < 2) {
    return ctx.error(node.args[0], "invalid variable name \"" + std::string(target) + "\"");
  }
  auto variable = ctx.conf<http::CoreMain>().variables.add(target.substr(1));
  if (!variable) return ctx.error(node.args[0], variable.error().text);
  auto chunk = make_chunk(ctx, node, 1);
  if (!chunk) return fail(std::move(chunk.error()));
  ctx.conf<LuaMain>().wanted = true;
  std::vector<http::Template> arguments;
  for (std::size_t i = 2; i < node.args.size(); ++i) {
    auto argument = http::Template::compile(ctx, node.arg(i));
    if (!argument) return ctx.error(node.args[i], argument.error().text);
    arguments.push_back(std::move(*argument));
  }
  auto* made = ctx.arena().make<SetByLua>(**variable, **chunk, std::move(arguments));
  ctx.conf<http::CoreBlock>().script.add(*made);
  return {};
}

}  // namespace mp::lua
