#include "phases/04_rewrite/more_input_headers.hpp"

#include "filters/more_command.hpp"
#include "http/remove_fields.hpp"
#include "http/request.hpp"
#include "http/request_fields.hpp"

namespace mp::phases {

using conf::Context;
using conf::Node;
using filters::MoreCommand;
using filters::MoreField;
using http::HeaderField;
using http::HeaderId;
using http::Request;
using http::Step;

namespace {

struct MoreInputConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  std::vector<MoreCommand> commands;

  // Those of the surrounding blocks run first, so that the inner ones have the last word.
  Status merge(Context&, const MoreInputConf& parent) {
    commands.insert(commands.begin(), parent.commands.begin(), parent.commands.end());
    return {};
  }
};

template <bool Clear>
Status parse_command(Context& ctx, const Node& node) {
  auto command = filters::read_more_command(ctx, node, "tr", Clear);
  if (!command) return fail(std::move(command.error()));
  ctx.conf<MoreInputConf>().commands.push_back(std::move(*command));
  return {};
}

bool set_field(Request& r, const MoreField& field, std::string_view value, bool only_existing) {
  HeaderField* first = nullptr;
  for (HeaderField& f : r.in) {
    if (field.matches(f)) {
      first = &f;
      break;
    }
  }
  if (first == nullptr && (only_existing || value.empty())) {
    return value.empty() ? http::follow_request_field(r, field.id, value) : true;
  }
  if (field.wildcard && !value.empty()) return true;  // nothing is called so
  if (!http::follow_request_field(r, field.id, value)) return false;
  if (value.empty()) {
    http::remove_fields(r.in, [&](const HeaderField& f) { return field.matches(f); });
  } else if (first == nullptr) {
    r.in.add({field.name, value, field.id});
  } else {
    first->value = value;
    const HeaderField* const kept = first;
    http::remove_fields(r.in, [&](const HeaderField& f) { return &f != kept && field.matches(f); });
  }
  return true;
}

constexpr conf::Directive kDirectives[] = {
    {.name = "more_set_input_headers",
     .where = conf::kHttpServerLocationIf,
     .args = conf::at_least(1),
     .parse = parse_command<false>},
    {.name = "more_clear_input_headers",
     .where = conf::kHttpServerLocationIf,
     .args = conf::at_least(1),
     .parse = parse_command<true>},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<MoreInputConf>()};

}  // namespace

Step change_input_headers(Request& r) {
  const auto& commands = r.conf<MoreInputConf>().commands;
  if (commands.empty() || r.version < http::Version::http10) return Step::decline();
  for (const MoreCommand& command : commands) {
    if (!command.types.empty() && !command.wants_type(r.in.value(HeaderId::content_type))) continue;
    for (const MoreField& field : command.fields) {
      const std::string_view value = field.value.evaluate(r);
      if (set_field(r, field, value, command.replace)) continue;
      log::error(r.logger, "more_set_input_headers: \"{}\" is no value for \"{}\"", value, field.name);
      return Step::finish(500);
    }
  }
  return Step::decline();
}

const conf::Module kMoreInputHeadersModule = {
    .name = "http_headers_more_input", .directives = kDirectives, .confs = kConfs};

}  // namespace mp::phases
