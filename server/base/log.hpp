// The error log: levels, targets and the one line format every part of the server writes.
//
//   2024/01/31 09:08:07 [error] 12#12: *7 connect() failed (111: Connection refused), client: 1.2.3.4, ...
//
// An ErrorLog is what one configuration level's error_log directives add up to: a list of targets, each with
// a level. It belongs to the configuration. A Logger is the cheap handle that code passes around: which
// ErrorLog, and on whose behalf (a Subject: the connection or request that appends its context). Writing is
// unbuffered, one write(2) per line and target, and never waits for a reader longer than a moment.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/core.h>

#include "base/result.hpp"

namespace spdlog::sinks {
class sink;
}

namespace mp {
class Clock;
class OpenFiles;
}  // namespace mp

namespace mp::log {

// The numbers are part of the Lua API (ngx.STDERR .. ngx.DEBUG).
enum class Level : std::uint8_t { stderr_, emerg, alert, crit, error, warn, notice, info, debug };

// "error"; for stderr_ the empty string.
std::string_view level_name(Level level);

// A line is cut at this length, its newline included.
inline constexpr std::size_t kMaxLine = 4096;

// On whose behalf something is logged. Implemented by connections and requests.
class Subject {
 public:
  // Appends the context, starting with its separator: ` while reading x, client: A, server: S, request: "L"`.
  // Not called for debug lines. Must not log.
  virtual void describe(std::string& out) const = 0;
  // The number after '*'; 0 leaves it out.
  virtual std::uint64_t connection_id() const = 0;

 protected:
  ~Subject() = default;
};

class ErrorLog {
 public:
  ErrorLog() = default;
  ErrorLog(ErrorLog&&) = default;
  ErrorLog& operator=(ErrorLog&&) = default;

  // Makes a file name absolute, as the configuration resolves names.
  using Resolve = std::function<std::string(std::string_view)>;

  // One error_log directive: args are what follows the directive's name (target, then at most one level).
  // `where` is the place in the configuration, "FILE:LINE", which a memory: buffer carries for the debugger.
  // Errors are texts such as `invalid log level "x"`.
  Status add(std::span<const std::string_view> args, const Resolve& resolve, OpenFiles& files,
             std::string_view where);

  void add_file(std::string_view path, Level level, OpenFiles& files);  // an empty path is stderr
  void add_sink(std::shared_ptr<spdlog::sinks::sink> sink, Level level);
  // While on, lines up to `warn` also go to stderr as `NAME: [emerg] text`: the server is starting and
  // someone may be watching. Nothing is written twice when a target is stderr itself.
  void echo_to_stderr(bool on) { echo_ = on; }

  bool empty() const { return targets_.empty(); }
  bool has_file() const;     // some target is a file (or stderr)
  bool uses_stderr() const;  // some target is stderr
  int first_file() const;    // the descriptor of the most verbose file target; -1 when there is none

  // The most verbose level any target takes. Nothing above it needs to be formatted.
  Level level() const { return level_; }

  // Sends one finished line, with its newline, to every target of this level; to all when `always` is set.
  // `message` is the part after "pid#tid: ", for the echo.
  void send(Level level, std::string_view line, std::string_view message, bool always) const;

 private:
  struct Target {
    std::shared_ptr<spdlog::sinks::sink> sink;
    Level level;
  };
  std::vector<Target> targets_;  // most verbose first
  Level level_ = Level::stderr_;
  bool echo_ = false;
};

struct Logger {
  const ErrorLog* log = nullptr;
  const Subject* subject = nullptr;
  bool everything = false;  // debug_connection matched: write all levels to all targets

  bool enabled(Level level) const { return log != nullptr && (everything || level <= log->level()); }
};

// Given as the second argument of the functions below, adds " (2: No such file or directory)" after the text.
struct Errno {
  int code;
};

// Writes text that is already complete.
void write_text(Level level, const Logger& logger, std::string_view text);

namespace detail {
void vwrite(Level level, const Logger& logger, int errnum, fmt::string_view format, fmt::format_args args);
}

// Out of line: what is logged is rare. Callers on the path of every request ask first; see info() and
// debug().
template <class... Args>
[[gnu::cold, gnu::noinline]] void write(Level level, const Logger& logger, fmt::format_string<Args...> format,
                                        Args&&... args) {
  if (logger.enabled(level)) [[unlikely]] {
    detail::vwrite(level, logger, 0, format, fmt::make_format_args(args...));
  }
}
template <class... Args>
[[gnu::cold, gnu::noinline]] void write(Level level, const Logger& logger, Errno errnum,
                                        fmt::format_string<Args...> format, Args&&... args) {
  if (logger.enabled(level)) [[unlikely]] {
    detail::vwrite(level, logger, errnum.code, format, fmt::make_format_args(args...));
  }
}

template <class... Args>
void emerg(const Logger& logger, fmt::format_string<Args...> format, Args&&... args) {
  write(Level::emerg, logger, format, std::forward<Args>(args)...);
}
template <class... Args>
void emerg(const Logger& logger, Errno e, fmt::format_string<Args...> format, Args&&... args) {
  write(Level::emerg, logger, e, format, std::forward<Args>(args)...);
}
template <class... Args>
void alert(const Logger& logger, fmt::format_string<Args...> format, Args&&... args) {
  write(Level::alert, logger, format, std::forward<Args>(args)...);
}
template <class... Args>
void alert(const Logger& logger, Errno e, fmt::format_string<Args...> format, Args&&... args) {
  write(Level::alert, logger, e, format, std::forward<Args>(args)...);
}
template <class... Args>
void crit(const Logger& logger, fmt::format_string<Args...> format, Args&&... args) {
  write(Level::crit, logger, format, std::forward<Args>(args)...);
}
template <class... Args>
void crit(const Logger& logger, Errno e, fmt::format_string<Args...> format, Args&&... args) {
  write(Level::crit, logger, e, format, std::forward<Args>(args)...);
}
template <class... Args>
void error(const Logger& logger, fmt::format_string<Args...> format, Args&&... args) {
  write(Level::error, logger, format, std::forward<Args>(args)...);
}
template <class... Args>
void error(const Logger& logger, Errno e, fmt::format_string<Args...> format, Args&&... args) {
  write(Level::error, logger, e, format, std::forward<Args>(args)...);
}
template <class... Args>
void warn(const Logger& logger, fmt::format_string<Args...> format, Args&&... args) {
  write(Level::warn, logger, format, std::forward<Args>(args)...);
}
template <class... Args>
void notice(const Logger& logger, fmt::format_string<Args...> format, Args&&... args) {
  write(Level::notice, logger, format, std::forward<Args>(args)...);
}
template <class... Args>
void info(const Logger& logger, fmt::format_string<Args...> format, Args&&... args) {
  if (logger.enabled(Level::info)) [[unlikely]]
    write(Level::info, logger, format, std::forward<Args>(args)...);
}
template <class... Args>
void info(const Logger& logger, Errno e, fmt::format_string<Args...> format, Args&&... args) {
  write(Level::info, logger, e, format, std::forward<Args>(args)...);
}
template <class... Args>
void debug(const Logger& logger, fmt::format_string<Args...> format, Args&&... args) {
  if (logger.enabled(Level::debug)) [[unlikely]]
    write(Level::debug, logger, format, std::forward<Args>(args)...);
}

// The line builder, apart from its inputs' sources so that it can be tested: appends the whole line to `out`
// and returns where the message begins in it.
struct LineParts {
  Level level;
  int pid;
  int tid;
  std::string_view text;
  int errnum = 0;
  const Subject* subject = nullptr;
};
std::size_t build_line(std::string& out, const Clock& clock, const LineParts& parts);

// Writes "NAME: text (2: No such file or directory)\n" to stderr: for messages before there is a log, and the
// command line's own.
void to_stderr(std::string_view text, int errnum = 0);

}  // namespace mp::log
