// The directives of the echo family.
#include "conf/setters.hpp"
#include "http/core_conf.hpp"
#include "phases/10_content/echo.hpp"
#include "phases/10_content/echo/commands.hpp"

namespace mp::phases {
namespace echo {
namespace {

using conf::Context;
using conf::Node;

template <Run Function, Kind CommandKind = Kind::plain, bool Beside = false>
Status add(Context& ctx, const Node& node) {
  auto args = filters::EchoArgs::compile(ctx, node);
  if (!args) return fail(std::move(args.error()));
  auto& c = ctx.conf<EchoConf>();
  if (c.program == nullptr) {
    c.program = std::make_shared<Program>();
    ctx.conf<http::CoreBlock>().handler = run_program;
  }
  if (CommandKind == Kind::subrequest) {
    c.program->includes = true;
    // The filters of this response begin before the subrequest's output does.
    if (!c.program->begun) c.program->commands.push_back({.run = run_begin});
  }
  if (CommandKind == Kind::subrequest || CommandKind == Kind::output) c.program->begun = true;
  Command command;
  command.run = Function;
  command.kind = CommandKind;
  command.beside = Beside;
  command.args = std::move(*args);
  command.prefix = ctx.full_path("");
  c.program->commands.push_back(std::move(command));
  return {};
}

constexpr conf::Directive row(std::string_view name, conf::Arity args,
                              Status (*parse)(Context&, const Node&)) {
  return {.name = name, .where = conf::kLocationOrIf, .args = args, .parse = parse};
}

constexpr conf::Directive kDirectives[] = {
    row("echo", conf::any_number(), add<run_line, Kind::output>),
    row("echo_duplicate", conf::at_least(2), add<run_duplicate, Kind::output>),
    row("echo_flush", conf::none(), add<run_flush, Kind::output>),
    row("echo_sleep", conf::exactly(1), add<run_sleep>),
    row("echo_blocking_sleep", conf::exactly(1), add<run_sleep>),
    row("echo_reset_timer", conf::none(), add<run_reset_timer>),
    row("echo_read_request_body", conf::none(), add<run_read_body>),
    row("echo_request_body", conf::none(), add<run_body, Kind::output>),
    row("echo_location", conf::between(1, 2), add<run_location, Kind::subrequest>),
    row("echo_location_async", conf::between(1, 2), add<run_location, Kind::subrequest, true>),
    row("echo_subrequest", conf::at_least(2), add<run_subrequest, Kind::subrequest>),
    row("echo_subrequest_async", conf::at_least(2), add<run_subrequest, Kind::subrequest, true>),
    row("echo_exec", conf::between(1, 2), add<run_exec>),
    row("echo_abort_parent", conf::none(), add<run_abort_parent>),
    row("echo_foreach_split", conf::at_least(2), add<run_foreach, Kind::loop_begin>),
    row("echo_end", conf::none(), add<run_end, Kind::loop_end>),
    row("echo_status", conf::exactly(1), conf::set<&EchoConf::status>),
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<EchoConf>()};

Status before_http(Context& ctx) {
  define_variables(ctx.conf<http::CoreMain>().variables);
  return {};
}

}  // namespace
}  // namespace echo

const conf::Module kEchoModule = {.name = "http_echo",
                                  .directives = echo::kDirectives,
                                  .confs = echo::kConfs,
                                  .before_http = echo::before_http};

}  // namespace mp::phases
