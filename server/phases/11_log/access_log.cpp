#include "phases/11_log/access_log.hpp"

#include <cerrno>
#include <map>
#include <memory>
#include <optional>

#include <sys/stat.h>
#include <unistd.h>

#include "base/numbers.hpp"
#include "base/strings.hpp"
#include "base/syslog.hpp"
#include "conf/configuration.hpp"
#include "conf/process_conf.hpp"
#include "conf/setters.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"
#include "phases/11_log/log_buffer.hpp"
#include "phases/11_log/log_file_cache.hpp"
#include "phases/11_log/log_format.hpp"

namespace mp::phases {

using conf::Context;
using conf::Node;
using http::Request;

namespace {

struct LogTarget {
  const LogFormat* format = nullptr;
  OpenFile* file = nullptr;     // or
  LogBuffer* buffer = nullptr;  // of `file`, or
  std::shared_ptr<Syslog> syslog;
  http::Template path;  // with variables: opened for each line
  http::Template condition;
  bool conditional = false;
  mutable LogComplaint complaint;
};

struct LogMain {
  static constexpr conf::Level kLevel = conf::Level::main;
  std::map<std::string, std::unique_ptr<LogFormat>, std::less<>> formats;
  std::map<OpenFile*, std::unique_ptr<LogBuffer>> buffers;
  bool combined_used = false;
};

struct LogConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  std::vector<LogTarget> targets;
  bool off = false;
  bool cache_set = false;
  std::shared_ptr<LogFileCache> cache;  // of logs with variables in their names; null: opened for each line

  Status merge(Context& ctx, const LogConf& parent);
};

Result<const LogFormat*> find_format(Context& ctx, std::string_view name) {
  auto& formats = ctx.conf<LogMain>().formats;
  if (auto it = formats.find(name); it != formats.end()) return it->second.get();
  if (name != "combined") return fail("unknown log format \"" + std::string(name) + "\"");
  auto combined = LogFormat::compile(ctx, kCombined, LogFormat::Escape::default_);
  if (!combined) return fail(combined.error());
  return formats.emplace("combined", std::make_unique<LogFormat>(std::move(*combined))).first->second.get();
}

Status LogConf::merge(Context& ctx, const LogConf& parent) {
  if (!cache_set) {
    cache_set = parent.cache_set;
    cache = parent.cache;
  }
  if (!targets.empty() || off) return {};
  targets = parent.targets;
  off = parent.off;
  if (!targets.empty() || off) return {};
  auto format = find_format(ctx, "combined");
  if (!format) return fail(format.error());
  LogTarget target;
  target.format = *format;
  target.file = ctx.open_file("logs/access.log");
  targets.push_back(std::move(target));
  return {};
}

Status parse_log_format(Context& ctx, const Node& node) {
  auto& formats = ctx.conf<LogMain>().formats;
  const std::string_view name = node.args[0].text;
  if (name == "combined" || formats.find(name) != formats.end()) {
    return ctx.error(node.args[0], "duplicate \"log_format\" name \"" + std::string(name) + "\"");
  }
  auto escape = LogFormat::Escape::default_;
  std::string text;
  for (std::size_t i = 1; i < node.args.size(); ++i) {
    std::string_view piece = node.args[i].text;
    if (i == 1 && consume(piece, "escape=")) {
      if (piece == "json") {
        escape = LogFormat::Escape::json;
      } else if (piece == "none") {
        escape = LogFormat::Escape::none;
      } else if (piece != "default") {
        return ctx.error(node.args[i], "unknown log format escaping \"" + std::string(piece) + "\"");
      }
      continue;
    }
    text.append(piece);
  }
  auto format = LogFormat::compile(ctx, ctx.arena().copy(text), escape);
  if (!format) return ctx.error(format.error().text);
  formats.emplace(std::string(name), std::make_unique<LogFormat>(std::move(*format)));
  return {};
}

struct LogOptions {
  LogBuffer::Options buffer;
  bool buffered = false;
};

// buffer=, flush=, gzip, gzip=, if=. False when `arg` is none of them or has a bad value.
bool read_option(Context& ctx, std::string_view arg, LogOptions& options, LogTarget& target,
                 std::string& error) {
  std::string_view value = arg;
  if (consume(value, "buffer=")) {
    const auto size = parse_size(value);
    if (!size || *size == 0) return error = "invalid buffer size \"" + std::string(value) + "\"", false;
    options.buffer.size = static_cast<std::size_t>(*size);
    options.buffered = true;
    return true;
  }
  if (consume(value, "flush=")) {
    const auto time = parse_milliseconds(value);
    if (!time || *time == 0) return error = "invalid flush time \"" + std::string(value) + "\"", false;
    options.buffer.flush_after = static_cast<fiber::Msec>(*time);
    options.buffered = true;
    return true;
  }
  if (value == "gzip" || consume(value, "gzip=")) {
    const auto level = arg == "gzip" ? std::optional<int>(1) : parse_natural<int>(value);
    if (!level || *level < 1 || *level > 9)
      return error = "invalid compression level \"" + std::string(value) + "\"", false;
    options.buffer.gzip_level = *level;
    if (!options.buffered) options.buffer.size = 64 * 1024;
    options.buffered = true;
    return true;
  }
  if (consume(value, "if=")) {
    auto condition = http::Template::compile(ctx, value);
    if (!condition) return error = condition.error().text, false;
    target.condition = std::move(*condition);
    target.conditional = true;
    return true;
  }
  error = "invalid parameter \"" + std::string(arg) + "\"";
  return false;
}

Status set_destination(Context& ctx, const conf::Arg& arg, LogTarget& target) {
  std::string_view path = arg.text;
  if (consume(path, "syslog:")) {
    auto options = parse_syslog(path);
    if (!options) return ctx.error(arg, options.error().text);
    target.syslog = std::make_shared<Syslog>(std::move(*options));
    return {};
  }
  if (http::has_variables(path)) {
    auto compiled = http::Template::compile(ctx, ctx.full_path(path));
    if (!compiled) return ctx.error(arg, compiled.error().text);
    target.path = std::move(*compiled);
    return {};
  }
  target.file = ctx.open_file(path);
  return {};
}

Status set_buffer(Context& ctx, const conf::Arg& arg, const LogOptions& options, LogTarget& target) {
  if (options.buffer.size == 0)
    return ctx.error(arg, "no buffer is defined for access_log \"" + std::string(arg.text) + "\"");
  if (target.syslog != nullptr) return ctx.error(arg, "logs to syslog cannot be buffered");
  if (target.file == nullptr) {
    return ctx.error(arg, "buffered logs cannot have variables in name");
  }
  auto& buffer = ctx.conf<LogMain>().buffers[target.file];
  if (buffer == nullptr) {
    buffer = std::make_unique<LogBuffer>(*target.file, options.buffer,
                                         ctx.configuration().root().get<conf::ProcessWide>().logger());
  } else if (buffer->options().size != options.buffer.size ||
             buffer->options().flush_after != options.buffer.flush_after ||
             buffer->options().gzip_level != options.buffer.gzip_level) {
    return ctx.error(
        arg, "access_log \"" + std::string(arg.text) + "\" already defined with conflicting parameters");
  }
  target.buffer = buffer.get();
  return {};
}

Status parse_access_log(Context& ctx, const Node& node) {
  auto& c = ctx.conf<LogConf>();
  if (node.args[0].text == "off") {
    c.off = true;
    if (node.args.size() == 1) return {};
    return ctx.error(node.args[1], "invalid parameter \"" + std::string(node.args[1].text) + "\"");
  }
  LogTarget target;
  TRY(set_destination(ctx, node.args[0], target));
  const bool named = node.args.size() > 1;
  auto format = find_format(ctx, named ? node.args[1].text : "combined");
  if (!format) return ctx.error(node.args[named ? 1 : 0], format.error().text);
  target.format = *format;
  LogOptions options;
  for (std::size_t i = 2; i < node.args.size(); ++i) {
    std::string error;
    if (!read_option(ctx, node.args[i].text, options, target, error)) return ctx.error(node.args[i], error);
  }
  if (options.buffered) TRY(set_buffer(ctx, node.args[0], options, target));
  c.targets.push_back(std::move(target));
  return {};
}

Status parse_cache(Context& ctx, const Node& node) {
  auto& c = ctx.conf<LogConf>();
  if (c.cache_set) return fail("is duplicate");
  c.cache_set = true;
  LogFileCache::Options options;
  for (const conf::Arg& arg : node.args) {
    std::string_view value = arg.text;
    std::optional<std::int64_t> number;
    if (value == "off") return {};
    if (consume(value, "max=")) {
      number = parse_natural<std::int64_t>(value);
      options.max = static_cast<std::size_t>(number.value_or(0));
    } else if (consume(value, "min_uses=")) {
      number = parse_natural<std::int64_t>(value);
      options.min_uses = number.value_or(0);
    } else if (consume(value, "inactive=")) {
      number = parse_seconds(value);
      options.inactive = static_cast<fiber::Msec>(number.value_or(0)) * 1000;
    } else if (consume(value, "valid=")) {
      number = parse_seconds(value);
      options.valid = static_cast<fiber::Msec>(number.value_or(0)) * 1000;
    }
    if (!number)
      return ctx.error(arg, "invalid \"open_log_file_cache\" parameter \"" + std::string(arg.text) + "\"");
  }
  if (options.max == 0) return ctx.error("\"open_log_file_cache\" must have \"max\" parameter");
  c.cache = std::make_shared<LogFileCache>(options);
  return {};
}

constexpr conf::Scope kLogScopes = conf::kHttpServerLocationIf | conf::Scope::limit_except;

constexpr conf::Directive kDirectives[] = {
    {.name = "log_format", .where = conf::Scope::http, .args = conf::at_least(2), .parse = parse_log_format},
    {.name = "access_log", .where = kLogScopes, .args = conf::at_least(1), .parse = parse_access_log},
    {.name = "open_log_file_cache",
     .where = conf::kHttpServerLocation,
     .args = conf::between(1, 4),
     .parse = parse_cache},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<LogMain>(), conf::conf_type<LogConf>()};

// Names with variables come from clients: only where the request's root is a folder is a log made.
bool root_exists(Request& r) {
  const std::string root(r.conf<http::CoreLocation>().root->evaluate(r));
  struct stat st{};
  const int error = ::stat(root.c_str(), &st) != 0 ? errno : S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
  if (error != 0) log::error(r.logger, log::Errno{error}, "testing \"{}\" existence failed", root);
  return error == 0;
}

void write_to_path(Request& r, const LogTarget& target, std::string_view line) {
  if (!root_exists(r)) return;
  auto& c = r.conf<LogConf>();
  const std::string name(target.path.evaluate(r));
  const LogFileRef file = c.cache != nullptr ? c.cache->get(name, fiber::now()) : open_log(name);
  if (file == nullptr) {
    log::crit(r.logger, log::Errno{errno}, "open() \"{}\" failed", name);
    return;
  }
  const ssize_t n = ::write(file->fd(), line.data(), line.size());
  if (n != static_cast<ssize_t>(line.size()))
    complain(r.logger, target.complaint, name, n < 0 ? errno : ENOSPC);
}

[[gnu::noinline]] void write_lines(Request& r, const LogConf& c) {
  static std::string line;  // its memory serves every request of the worker
  for (const LogTarget& target : c.targets) {
    if (target.conditional) {
      const std::string_view condition = target.condition.evaluate(r);
      if (condition.empty() || condition == "0") continue;
    }
    line.clear();
    target.format->render(r, line);
    if (target.syslog != nullptr) {
      if (const Status sent = target.syslog->send(line); !sent) log::error(r.logger, "{}", sent.error().text);
      continue;
    }
    line.push_back('\n');
    if (target.buffer != nullptr) {
      target.buffer->append(line);
    } else if (target.file != nullptr) {
      if (!target.file->append(line)) complain(r.logger, target.complaint, target.file->path(), errno);
    } else {
      write_to_path(r, target, line);
    }
  }
}

}  // namespace

void write_access_log(Request& r) {
  const auto& c = r.conf<LogConf>();
  if (!c.off) write_lines(r, c);
}

const conf::Module kLogModule = {
    .name = "http_log", .directives = kDirectives, .confs = kConfs, .asked_always = true};

}  // namespace mp::phases
