#include "phases/04_rewrite/rewrite_module.hpp"

#include "base/escape.hpp"
#include "base/numbers.hpp"
#include "conf/configuration.hpp"
#include "conf/setters.hpp"
#include "http/content_type.hpp"
#include "http/core_conf.hpp"
#include "http/engine.hpp"
#include "http/redirect.hpp"
#include "http/request.hpp"
#include "phases/04_rewrite/rewrite_if.hpp"
#include "phases/04_rewrite/set_target.hpp"

namespace mp::phases {

using conf::Context;
using conf::Node;
using http::Request;
using http::Step;

namespace {

struct RewriteConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  conf::Setting<bool> rewrite_log;
  conf::Setting<bool> uninitialized_variable_warn;

  Status merge(Context&, const RewriteConf& parent) {
    rewrite_log.inherit(parent.rewrite_log, false);
    uninitialized_variable_warn.inherit(parent.uninitialized_variable_warn, true);
    return {};
  }
};

bool is_absolute_url(std::string_view text) {
  return text.starts_with("http://") || text.starts_with("https://") || text.starts_with("$scheme");
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// ---- set

struct SetVariable final : http::Instruction {
  const http::Variable* variable;
  http::Template value;
  Step run(Request& r) const override {
    assign(r, *variable, value.evaluate(r));
    return Step::decline();
  }
};

// A variable that nothing has set yet in this request.
http::Value uninitialized(Request& r, const http::Variable& v) {
  if (r.conf<RewriteConf>().uninitialized_variable_warn) {
    log::warn(r.logger, "using uninitialized \"{}\" variable", v.name);
  }
  return http::Value::of("");
}

Status parse_set(Context& ctx, const Node& node) {
  const auto variable = set_target(ctx, node.args[0]);
  if (!variable) return fail(variable.error());
  auto value = http::Template::compile(ctx, node.args[1].text);
  if (!value) return ctx.error(node.args[1], value.error().text);
  auto* made = ctx.arena().make<SetVariable>();
  made->variable = *variable;
  made->value = std::move(*value);
  ctx.conf<http::CoreBlock>().script.add(*made);
  return {};
}

// ---- break

struct Break final : http::Instruction {
  Step run(Request& r) const override {
    r.uri_changed = false;
    return Step::pass();
  }
};

Status parse_break(Context& ctx, const Node&) {
  ctx.conf<http::CoreBlock>().script.add(*ctx.arena().make<Break>());
  return {};
}

// ---- return

// A cache line: where there are many locations, each of theirs is cold.
struct alignas(64) Return final : http::Instruction {
  http::Template text;
  int status = 0;
  bool answers = false;  // with the text, if only an empty one; else with what the status stands for
  char in_place[11];     // the text when it is constant and has room here

  void set_text(http::Template value) {
    text = value;
    if (!value.constant() || value.source().size() > sizeof(in_place)) return;
    text = http::Template::literal({in_place, value.source().copy(in_place, sizeof(in_place))});
  }
  Step run(Request& r) const override {
    // 204 as the page of an error is an answer like any other, with the status of the error.
    const bool page = status == 204 && r.error_status != 0;
    if (!answers && !page) return Step::finish(status);
    r.out.status = status;
    const std::string_view value = text.evaluate(r);
    if (!http::discard_body(r)) return Step::finish(400);
    if (is_redirect(status)) {
      r.out.headers.set(http::HeaderId::location, value);
      return Step::finish(status);
    }
    http::set_content_type(r);
    if (status == 204 && !page) return Step::finish(204);
    r.out.content_length = static_cast<std::int64_t>(value.size());
    r.send_head();
    r.write(value, true);
    return Step::done();
  }
};

Status parse_return(Context& ctx, const Node& node) {
  auto* made = ctx.arena().make<Return>();
  const std::string_view first = node.args[0].text;
  std::string_view text;
  if (const auto status = parse_natural<int>(first)) {
    if (*status > 999) return ctx.error(node.args[0], "invalid return code \"" + std::string(first) + "\"");
    made->status = *status;
    if (node.args.size() == 2) text = node.args[1].text;
    // An error without a text is one like any other: its page is looked for.
    const bool bare = node.args.size() == 1 && (is_redirect(*status) || *status == 204 || *status == 304);
    made->answers = !text.empty() || (*status < 400 && !bare);
  } else {
    if (node.args.size() == 2 || !is_absolute_url(first)) {
      return ctx.error(node.args[0], "invalid return code \"" + std::string(first) + "\"");
    }
    made->status = 302;
    made->answers = true;
    text = first;
  }
  auto compiled = http::Template::compile(ctx, text);
  if (!compiled) return ctx.error(node.args.back(), compiled.error().text);
  made->set_text(*compiled);
  ctx.conf<http::CoreBlock>().script.add(*made);
  return {};
}

// ---- rewrite

struct Rewrite final : http::Instruction {
  http::HttpRegex regex;
  http::Template target;
  int redirect = 0;      // 301, 302; 0: internal
  bool add_args = true;  // the replacement does not end in '?'
  bool last = false;
  bool stop_cycle = false;  // break

  explicit Rewrite(http::HttpRegex re) : regex(std::move(re)) {}

  Step run(Request& r) const override {
    const bool tell = r.conf<RewriteConf>().rewrite_log;
    const std::string_view subject = r.uri;
    if (!regex.match(r, subject)) {
      if (tell) log::notice(r.logger, "\"{}\" does not match \"{}\"", regex.pattern(), subject);
      return Step::decline();
    }
    if (tell) log::notice(r.logger, "\"{}\" matches \"{}\"", regex.pattern(), subject);
    const http::Template::Target result = target.evaluate_target(r, redirect != 0);
    return redirect != 0 ? send_away(r, result, tell) : change_uri(r, result, tell);
  }

 private:
  std::string_view joined_args(Request& r, const http::Template::Target& result) const {
    if (!add_args || r.args.empty()) return result.args;
    return result.has_args ? r.arena.concat(result.args, "&", r.args) : r.args;
  }

  Step send_away(Request& r, const http::Template::Target& result, bool tell) const {
    const std::string_view path = unescape_uri(r.arena, result.path, Unescape::redirect);
    const std::string_view args = joined_args(r, result);
    const bool bare = !result.has_args && args.empty();
    const std::string_view location = bare ? path : r.arena.concat(path, "?", args);
    if (tell) log::notice(r.logger, "rewritten redirect: \"{}\"", location);
    r.out.headers.set(http::HeaderId::location, location);
    return Step::finish(redirect);
  }

  Step change_uri(Request& r, const http::Template::Target& result, bool tell) const {
    if (result.has_args) {
      r.args = joined_args(r, result);
    } else if (!add_args) {
      r.args = r.args.substr(0, 0);
    }
    r.uri_changed = !stop_cycle;
    if (stop_cycle) r.valid_location = false;
    r.valid_raw_uri = false;
    r.internal = true;
    r.set_uri(result.path.empty() ? std::string_view("") : result.path);
    if (tell) log::notice(r.logger, "rewritten data: \"{}\", args: \"{}\"", r.uri, r.args);
    if (r.uri.empty()) {
      log::error(r.logger, "the rewritten URI has a zero length");
      return Step::finish(500);
    }
    return last || stop_cycle ? Step::pass() : Step::decline();
  }
};

Status parse_rewrite(Context& ctx, const Node& node) {
  if (node.args[1].text.empty()) return ctx.error(node.args[1], "empty replacement");
  auto regex = http::HttpRegex::compile(ctx, node.args[0].text, false);
  if (!regex) return ctx.error(node.args[0], regex.error().text);
  auto* made = ctx.arena().make<Rewrite>(std::move(*regex));
  std::string_view target = node.args[1].text;
  if (is_absolute_url(target)) {
    made->redirect = 302;
    made->last = true;
  }
  if (node.args.size() == 3) {
    const std::string_view flag = node.args[2].text;
    if (flag == "last") {
      made->last = true;
    } else if (flag == "break") {
      made->stop_cycle = true;
    } else if (flag == "redirect") {
      made->redirect = 302;
    } else if (flag == "permanent") {
      made->redirect = 301;
    } else {
      return ctx.error(node.args[2], "invalid parameter \"" + std::string(flag) + "\"");
    }
  }
  if (target.ends_with('?')) {
    target.remove_suffix(1);
    made->add_args = false;
  }
  auto compiled = http::Template::compile(ctx, target);
  if (!compiled) return ctx.error(node.args[1], compiled.error().text);
  made->target = std::move(*compiled);
  ctx.conf<http::CoreBlock>().script.add(*made);
  return {};
}

constexpr conf::Scope kScripts =
    conf::Scope::server | conf::Scope::server_if | conf::Scope::location | conf::Scope::location_if;
constexpr conf::Scope kWithHttp = kScripts | conf::Scope::http;

constexpr conf::Directive kDirectives[] = {
    {.name = "rewrite", .where = kScripts, .args = conf::between(2, 3), .parse = parse_rewrite},
    {.name = "return", .where = kScripts, .args = conf::between(1, 2), .parse = parse_return},
    {.name = "break", .where = kScripts, .args = conf::none(), .parse = parse_break},
    {.name = "if",
     .where = conf::Scope::server | conf::Scope::location,
     .args = conf::at_least(1),
     .block = conf::Block::nested,
     .parse = parse_if},
    {.name = "set", .where = kScripts, .args = conf::exactly(2), .parse = parse_set},
    {.name = "rewrite_log",
     .where = kWithHttp,
     .args = conf::flag(),
     .parse = conf::set<&RewriteConf::rewrite_log>},
    {.name = "uninitialized_variable_warn",
     .where = kWithHttp,
     .args = conf::flag(),
     .parse = conf::set<&RewriteConf::uninitialized_variable_warn>},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<RewriteConf>()};

}  // namespace

Result<const http::Variable*> set_target(Context& ctx, const conf::Arg& arg) {
  if (arg.text.size() < 2 || arg.text[0] != '$') {
    return ctx.error(arg, "invalid variable name \"" + std::string(arg.text) + "\"");
  }
  auto variable = ctx.conf<http::CoreMain>().variables.add(arg.text.substr(1));
  if (!variable) return ctx.error(arg, variable.error().text);
  if ((*variable)->get == nullptr) (*variable)->get = uninitialized;
  return *variable;
}

void assign(Request& r, const http::Variable& variable, std::string_view value) {
  if (variable.set != nullptr) {
    variable.set(r, variable, value);
  } else {
    r.set_value(variable, http::Value::of(value));
  }
}

namespace {

// The end of a script by `last` or `break` only ends the script: the phase goes on with its other handlers.
Step run_to_end(Request& r, const http::Script& script) {
  const Step step = script.run(r);
  return step.kind() == Step::Kind::pass ? Step::decline() : step;
}

}  // namespace

bool wants_server_script(const conf::Sets& sets) {
  return !sets[conf::Level::server]->around[conf::Level::location]->get<http::CoreBlock>().script.empty();
}

// No location was chosen yet: the server's own block is in force.
Step run_server_script(Request& r) {
  return run_to_end(r, r.sets[conf::Level::location]->get<http::CoreBlock>().script);
}

bool wants_location_script(const conf::Sets& sets) {
  return !sets.get<http::CoreBlock>().script.empty();
}

Step run_location_script(Request& r) {
  if (r.location == nullptr) return Step::decline();
  // Of the block in force, which is another than the location's where limit_except has led into one.
  return run_to_end(r, r.sets[conf::Level::location]->get<http::CoreBlock>().script);
}

const conf::Module kRewriteModule = {.name = "http_rewrite", .directives = kDirectives, .confs = kConfs};

}  // namespace mp::phases
