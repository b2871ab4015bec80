#include "http/predicates.hpp"

namespace mp::http {

bool Predicates::any(Request& request) const {
  for (const Template& test : tests) {
    const std::string_view value = test.evaluate(request);
    if (!value.empty() && value != "0") return true;
  }
  return false;
}

Status parse_predicates(conf::Context& ctx, const conf::Node& node, conf::Setting<Predicates>& setting) {
  for (const conf::Arg& arg : node.args) {
    auto test = Template::compile(ctx, arg.text);
    if (!test) return ctx.error(arg, test.error().text);
    setting.edit().tests.push_back(std::move(*test));
  }
  return {};
}

}  // namespace mp::http
