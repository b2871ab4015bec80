#include "base/log.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>
#include <unistd.h>

#include "base/clock.hpp"
#include "base/identity.hpp"
#include "base/log_sinks.hpp"

namespace mp::log {
namespace {

constexpr std::string_view kLevelNames[] = {"",     "emerg",  "alert", "crit", "error",
                                            "warn", "notice", "info",  "debug"};
constexpr std::string_view kDebugNames[] = {"debug_core", "debug_alloc", "debug_mutex", "debug_event",
                                            "debug_http", "debug_mail",  "debug_stream"};
constexpr std::size_t kErrnoRoom = 50;  // kept free for " (2: No such file or directory)"

void append_errno(std::string& out, std::size_t limit, int errnum) {
  if (out.size() > limit - kErrnoRoom) {
    out.resize(limit - kErrnoRoom);
    out += "...";
  }
  char buffer[128];
  fmt::format_to(std::back_inserter(out), " ({}: {})", errnum, strerror_r(errnum, buffer, sizeof buffer));
}

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
    case Level::notice:
      return spdlog::level::info;
    case Level::warn:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
    default:
      return spdlog::level::critical;
  }
}

// "32m" and the like; 0 when it is not a size.
std::size_t parse_size(std::string_view text) {
  std::size_t unit = 1;
  if (!text.empty() && (text.back() == 'k' || text.back() == 'K')) unit = 1024;
  if (!text.empty() && (text.back() == 'm' || text.back() == 'M')) unit = 1024 * 1024;
  if (unit != 1) text.remove_suffix(1);
  std::size_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9' || value > (std::size_t{1} << 40)) return 0;
    value = value * 10 + static_cast<std::size_t>(c - '0');
  }
  return value * unit;
}

Result<Level> parse_level(std::span<const std::string_view> names) {
  if (names.empty()) return Level::error;
  Level level = Level::stderr_;
  bool partial_debug = false;
  for (const std::string_view name : names) {
    const auto* known = std::find(std::begin(kLevelNames) + 1, std::end(kLevelNames), name);
    if (known != std::end(kLevelNames)) {
      if (level != Level::stderr_) return fail(fmt::format("duplicate log level \"{}\"", name));
      level = static_cast<Level>(known - std::begin(kLevelNames));
      continue;
    }
    const bool debug_name =
        std::find(std::begin(kDebugNames), std::end(kDebugNames), name) != std::end(kDebugNames);
    if (!debug_name) return fail(fmt::format("invalid log level \"{}\"", name));
    if (level != Level::stderr_ && !partial_debug) return fail(fmt::format("invalid log level \"{}\"", name));
    partial_debug = true;
    level = Level::debug;
  }
  return level;
}

// One buffer serves every line of the thread. A line logged while another is being built (a sink or a Subject
// that logs) gets a buffer of its own.
struct LineBuffer {
  std::string text;
  bool busy = false;
};
thread_local LineBuffer line_buffer;

void emit(Level level, const Logger& logger, std::string_view text, int errnum) {
  std::string spare;
  const bool nested = line_buffer.busy;
  std::string& line = nested ? spare : line_buffer.text;
  line_buffer.busy = true;
  line.clear();
  const LineParts parts{level, getpid(), gettid(), text, errnum, logger.subject};
  const std::size_t message = build_line(line, clock(), parts);
  logger.log->send(level, line, std::string_view(line).substr(message), logger.everything);
  line_buffer.busy = nested;
}

}  // namespace

std::string_view level_name(Level level) {
  return kLevelNames[static_cast<std::size_t>(level)];
}

std::size_t build_line(std::string& out, const Clock& clock, const LineParts& parts) {
  const std::size_t begin = out.size();
  const std::size_t limit = begin + kMaxLine - 1;  // the newline comes behind it
  fmt::format_to(std::back_inserter(out), "{} [{}] {}#{}: ", clock.error_log_time(), level_name(parts.level),
                 parts.pid, parts.tid);
  const std::uint64_t id = parts.subject != nullptr ? parts.subject->connection_id() : 0;
  if (id != 0) fmt::format_to(std::back_inserter(out), "*{} ", id);
  const std::size_t message = out.size();
  out.append(parts.text.substr(0, limit - message));
  if (parts.errnum != 0) append_errno(out, limit, parts.errnum);
  if (parts.subject != nullptr && parts.level != Level::debug && out.size() < limit)
    parts.subject->describe(out);
  if (out.size() > limit) out.resize(limit);
  out += '\n';
  return message;
}

Status ErrorLog::add(std::span<const std::string_view> args, const Resolve& resolve, OpenFiles& files,
                     std::string_view where) {
  const std::string_view target = args[0];
  std::shared_ptr<spdlog::sinks::sink> sink;
  if (target == "stderr") {
    sink = std::make_shared<FileSink>(files.get(""));
  } else if (target.starts_with("memory:")) {
    const std::size_t size = parse_size(target.substr(7));
    if (size < kMaxLine) return fail(fmt::format("invalid buffer size \"{}\"", target.substr(7)));
    sink = std::make_shared<MemorySink>(size, where);
  } else if (target.starts_with("syslog:")) {
    auto options = parse_syslog(target.substr(7));
    if (!options) return fail(std::move(options.error()));
    sink = std::make_shared<SyslogSink>(*std::move(options));
  } else {
    sink = std::make_shared<FileSink>(files.get(resolve(target)));
  }
  const Result<Level> level = parse_level(args.subspan(1));
  if (!level) return fail(level.error());
  add_sink(std::move(sink), *level);
  return {};
}

void ErrorLog::add_file(std::string_view path, Level level, OpenFiles& files) {
  add_sink(std::make_shared<FileSink>(files.get(path)), level);
}

void ErrorLog::add_sink(std::shared_ptr<spdlog::sinks::sink> sink, Level level) {
  const auto behind =
      std::find_if(targets_.begin(), targets_.end(), [level](const Target& t) { return t.level < level; });
  targets_.insert(behind, Target{std::move(sink), level});
  level_ = targets_.front().level;
}

int ErrorLog::first_file() const {
  for (const Target& t : targets_) {
    if (const auto* file = dynamic_cast<const FileSink*>(t.sink.get())) return file->file().fd();
  }
  return -1;
}

bool ErrorLog::has_file() const {
  return std::any_of(targets_.begin(), targets_.end(),
                     [](const Target& t) { return dynamic_cast<const FileSink*>(t.sink.get()) != nullptr; });
}

bool ErrorLog::uses_stderr() const {
  return std::any_of(targets_.begin(), targets_.end(), [](const Target& t) {
    const auto* file = dynamic_cast<const FileSink*>(t.sink.get());
    return file != nullptr && file->file().is_stderr();
  });
}

void ErrorLog::send(Level level, std::string_view line, std::string_view message, bool always) const {
  // The logger name carries the syslog severity, which spdlog's own levels cannot tell apart.
  const char severity = static_cast<char>('0' + std::max(0, static_cast<int>(level) - 1));
  const spdlog::details::log_msg msg(spdlog::source_loc{}, spdlog::string_view_t(&severity, 1),
                                     to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
  for (const Target& t : targets_) {
    if (t.level < level && !always) break;
    t.sink->log(msg);
  }
  if (!echo_ || level > Level::warn || (uses_stderr() && level <= level_)) return;
  std::string text = fmt::format("{}: [{}] {}", identity().name, level_name(level), message);
  (void)!::write(STDERR_FILENO, text.data(), text.size());
}

void write_text(Level level, const Logger& logger, std::string_view text) {
  if (logger.enabled(level)) emit(level, logger, text, 0);
}

void detail::vwrite(Level level, const Logger& logger, int errnum, fmt::string_view format,
                    fmt::format_args args) {
  fmt::basic_memory_buffer<char, 512> text;
  fmt::vformat_to(fmt::appender(text), format, args);
  emit(level, logger, {text.data(), text.size()}, errnum);
}

void to_stderr(std::string_view text, int errnum) {
  std::string line = fmt::format("{}: {}", identity().name, text.substr(0, kMaxLine));
  if (errnum != 0) append_errno(line, line.size() + kErrnoRoom, errnum);
  line += '\n';
  (void)!::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace mp::log
