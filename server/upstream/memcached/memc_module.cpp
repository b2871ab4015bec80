// The memc module: the command in $memc_cmd (or that the method stands for) with $memc_key, $memc_value,
// $memc_flags and $memc_exptime.
#include <algorithm>
#include <array>

#include "base/clock.hpp"
#include "base/escape.hpp"
#include "base/numbers.hpp"
#include "conf/setters.hpp"
#include "http/content_type.hpp"
#include "http/core_conf.hpp"
#include "http/piece_text.hpp"
#include "http/request.hpp"
#include "upstream/memcached/memcached.hpp"
#include "upstream/memcached/memcached_dialect.hpp"
#include "upstream/pass_target.hpp"

namespace mp::upstream {
namespace {

using conf::Context;
using conf::kHttpServerLocation;
using conf::Node;
using http::Request;
using http::Step;

enum class Form : std::uint8_t { get, storage, delete_, count, flush, plain };

struct CommandRow {
  std::string_view name;
  Form form;
};
constexpr CommandRow kCommands[] = {
    {"get", Form::get},         {"set", Form::storage},    {"add", Form::storage},
    {"replace", Form::storage}, {"append", Form::storage}, {"prepend", Form::storage},
    {"delete", Form::delete_},  {"incr", Form::count},     {"decr", Form::count},
    {"flush_all", Form::flush}, {"stats", Form::plain},    {"version", Form::plain},
};

const CommandRow* find_command(std::string_view name) {
  const auto* found = std::find_if(std::begin(kCommands), std::end(kCommands),
                                   [name](const CommandRow& row) { return row.name == name; });
  return found != std::end(kCommands) ? found : nullptr;
}

struct MemcConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  TransferConf transfer;
  PassTarget target;
  Setting<bool> flags_to_last_modified;
  std::vector<std::string_view> allowed;  // empty: all

  Status merge(Context& ctx, const MemcConf& parent) {
    transfer.buffering.set(false);
    transfer.intercept_404 = true;
    TRY(transfer.merge(ctx, parent.transfer, "memc", {}, "proxy_temp"));
    flags_to_last_modified.inherit(parent.flags_to_last_modified, false);
    if (allowed.empty()) allowed = parent.allowed;
    merge_pass(ctx, target, parent.target);
    return {};
  }
};

class MemcDialect final : public MemcachedDialect {
 public:
  MemcDialect(const MemcachedCommand& command, bool last_modified)
      : MemcachedDialect(command), last_modified_(last_modified) {}

 protected:
  bool take_flags(Request& r, std::string_view text, Reply& reply) override {
    r.set_variable("memc_flags", r.arena.copy(text));
    if (!last_modified_) return true;
    const auto time = parse_natural<std::int64_t>(text);
    if (!time) return false;
    char* const date = r.arena.bytes(kHttpDateSize);
    write_http_date(date, *time);
    reply.fields.add(http::HeaderId::last_modified, {date, kHttpDateSize});
    reply.conditional = true;
    return true;
  }

 private:
  bool last_modified_;
};

// The command that a request without $memc_cmd stands for.
std::string_view command_for(http::Method method) {
  switch (method) {
    case http::Method::get:
    case http::Method::head:
      return "get";
    case http::Method::post:
      return "add";
    case http::Method::put:
      return "set";
    case http::Method::delete_:
      return "delete";
    default:
      return {};
  }
}

// What a request asks of memcached, or the status that tells what is wrong with it.
class Asked {
 public:
  explicit Asked(Request& request) : r_(request) {}

  int read(const MemcConf& conf) {
    std::string_view name = r_.variable("memc_cmd").text;
    if (name.empty()) name = command_for(r_.method);
    if (name.empty()) {
      log::error(r_.logger, "ngx_memc: $memc_cmd variable not found for HTTP {} requests", r_.method_text);
      return 400;
    }
    row_ = find_command(name);
    if (row_ == nullptr) {
      log::error(r_.logger, "ngx_memc: unknown $memc_cmd \"{}\"", name);
      return 400;
    }
    if (!conf.allowed.empty() &&
        std::find(conf.allowed.begin(), conf.allowed.end(), name) == conf.allowed.end()) {
      log::error(r_.logger, "ngx_memc: memcached command \"{}\" not allowed", name);
      return 403;
    }
    const bool keyed = row_->form != Form::flush && row_->form != Form::plain;
    const std::string_view key = r_.variable("memc_key").text;
    if (keyed && key.empty()) {
      log::error(r_.logger, "the \"$memc_key\" variable is not set");
      return 500;
    }
    command.key = escape_uri(r_.arena, key, UriEscape::memcached);
    return write();
  }

  MemcachedCommand command;

 private:
  int write() {
    std::string_view exptime;
    std::string_view flags;
    std::string_view value;
    switch (row_->form) {
      case Form::get:
        command.text = r_.arena.concat("get ", command.key, "\r\n");
        return 0;
      case Form::storage:
        if (!number("memc_flags", "0", flags) || !number("memc_exptime", "0", exptime)) return 400;
        if (const int status = stored_value(value)) return status;
        return store(flags, exptime, value);
      case Form::delete_:
        if (!number("memc_exptime", "", exptime)) return 400;
        return line(exptime, command.key);
      case Form::count:
        if (!number("memc_value", "", value)) return 400;
        if (value.empty()) {
          log::error(r_.logger, "the \"$memc_value\" variable is required for command \"{}\"", row_->name);
          return 400;
        }
        return line(value, command.key);
      case Form::flush:
        if (!number("memc_exptime", "", exptime)) return 400;
        return line(exptime, {});
      case Form::plain:
        break;
    }
    const int status = line({}, {});
    if (row_->name == "stats") command.kind = MemcachedCommand::Kind::lines;
    return status;
  }

  // "name key value"
  int line(std::string_view last, std::string_view key) {
    command.kind = MemcachedCommand::Kind::line;
    command.text =
        r_.arena.concat(row_->name, key.empty() ? "" : " ", key, last.empty() ? "" : " ", last, "\r\n");
    return 0;
  }

  int store(std::string_view flags, std::string_view exptime, std::string_view value) {
    char size[kMaxDecimal];
    const std::string_view digits{size, static_cast<std::size_t>(print(size, value.size()) - size)};
    command.kind = MemcachedCommand::Kind::line;
    command.text = r_.arena.concat(row_->name, " ", command.key, " ", flags, " ", exptime, " ", digits,
                                   "\r\n", value, "\r\n");
    return 0;
  }

  // A variable that must be a number when there is one.
  bool number(std::string_view name, std::string_view fallback, std::string_view& out) {
    out = r_.variable(name).text;
    if (out.empty()) out = fallback;
    if (out.empty() || parse_natural<std::int64_t>(out)) return true;
    log::error(r_.logger, "variable \"${}\" takes invalid value: {}", name, out);
    return false;
  }

  // $memc_value, or the body of the request.
  int stored_value(std::string_view& value) {
    const http::Value variable = r_.variable("memc_value");
    if (variable.found) {
      value = variable.text;
      return 0;
    }
    if (const int status = http::read_body(r_)) return status;
    if (!r_.body.in_file()) {
      value = r_.body.text(r_);
      return 0;
    }
    auto* text = r_.arena.make<std::string>();
    for (const http::Piece& piece : r_.body.pieces()) {
      if (!http::append_text(*text, piece)) return 500;
    }
    value = *text;
    return 0;
  }

  Request& r_;
  const CommandRow* row_ = nullptr;
};

Step serve_memc(Request& r) {
  const auto& conf = r.conf<MemcConf>();
  Asked asked(r);
  if (const int status = asked.read(conf)) return Step::finish(status);
  if (r.body.state == http::RequestBody::State::unread && !http::discard_body(r)) r.keepalive = false;
  http::set_content_type(r);
  Destination destination;
  if (!conf.target.find(r, destination)) return Step::finish(500);
  MemcDialect dialect(asked.command, conf.flags_to_last_modified);
  Transfer transfer(r, conf.transfer, dialect, destination, &conf);
  return transfer.run();
}

Status parse_memc_pass(Context& ctx, const Node& node) {
  return parse_pass(ctx, node, serve_memc, ctx.conf<MemcConf>().target);
}

Status parse_allowed(Context& ctx, const Node& node) {
  auto& allowed = ctx.conf<MemcConf>().allowed;
  if (!allowed.empty()) return conf::duplicate();
  for (const conf::Arg& arg : node.args) {
    if (find_command(arg.text) == nullptr) {
      return ctx.error(arg, "Unknown memcached command: " + std::string(arg.text));
    }
    allowed.push_back(arg.text);
  }
  return {};
}

constexpr conf::Named<std::uint32_t> kNextNames[] = {
    {"error", kFailedError}, {"timeout", kFailedTimeout}, {"invalid_response", kInvalidHeader},
    {"not_found", kHttp404}, {"off", kNextOff},
};

Status parse_next_upstream(Context& ctx, const Node& node) {
  return parse_bits(ctx, node, ctx.conf<MemcConf>().transfer.next_upstream, kNextNames);
}

template <auto Member>
constexpr auto transfer = set_transfer<&MemcConf::transfer, Member>;

constexpr conf::Directive row(std::string_view name, Status (*parse)(Context&, const Node&)) {
  return {.name = name, .where = kHttpServerLocation, .args = conf::exactly(1), .parse = parse};
}

constexpr conf::Directive kDirectives[] = {
    {.name = "memc_pass", .where = conf::kLocationOrIf, .args = conf::exactly(1), .parse = parse_memc_pass},
    row("memc_connect_timeout", transfer<&TransferConf::connect_timeout>),
    row("memc_send_timeout", transfer<&TransferConf::send_timeout>),
    row("memc_read_timeout", transfer<&TransferConf::read_timeout>),
    row("memc_buffer_size", transfer<&TransferConf::buffer_size>),
    row("memc_ignore_client_abort", transfer<&TransferConf::ignore_client_abort>),
    row("memc_flags_to_last_modified", conf::set<&MemcConf::flags_to_last_modified>),
    {.name = "memc_next_upstream",
     .where = kHttpServerLocation,
     .args = conf::at_least(1),
     .parse = parse_next_upstream},
    {.name = "memc_cmds_allowed",
     .where = conf::kHttpServerLocationIf,
     .args = conf::at_least(1),
     .parse = parse_allowed},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<MemcConf>()};

http::Value nothing(Request&, const http::Variable&) {
  return http::Value::none();
}

// They mean nothing until something is assigned to them.
constexpr http::Variable kVariables[] = {
    {.name = "memc_cmd", .get = nothing, .changeable = true},
    {.name = "memc_key", .get = nothing, .changeable = true},
    {.name = "memc_value", .get = nothing, .changeable = true},
    {.name = "memc_flags", .get = nothing, .changeable = true},
    {.name = "memc_exptime", .get = nothing, .changeable = true},
};

Status before_http(Context& ctx) {
  ctx.conf<http::CoreMain>().variables.define(kVariables);
  return {};
}

}  // namespace

const conf::Module kMemcModule = {
    .name = "http_memc", .directives = kDirectives, .confs = kConfs, .before_http = before_http};

}  // namespace mp::upstream
