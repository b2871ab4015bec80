// LogCapture: the newest error log lines, kept in memory for scripts (lua_capture_error_log, ngx.errlog). A
// further target of every error_log of the configuration; each process has its own lines.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>

#include "base/log.hpp"
#include "base/log_sinks.hpp"
#include "conf/context.hpp"

namespace mp::lua {

class LogCapture final : public log::LineSink {
 public:
  // `capacity`: bytes of all lines, with a little for each.
  explicit LogCapture(std::size_t capacity) : capacity_(capacity) {}

  void log(const spdlog::details::log_msg& msg) override;

  // Lines above this level are not kept.
  void set_level(log::Level level) { level_ = level; }

  struct Line {
    log::Level level;
    double time;  // Unix time
    std::string text;
  };
  // Forgets all lines.
  void clear() {
    lines_.clear();
    used_ = 0;
  }
  // Takes the oldest line out.
  std::optional<Line> take();

 private:
  static constexpr std::size_t kLineOverhead = 24;

  const std::size_t capacity_;
  std::size_t used_ = 0;
  log::Level level_ = log::Level::debug;
  std::deque<Line> lines_;
};

// The directive lua_capture_error_log.
Status capture_error_log(conf::Context& ctx, const conf::Node& node);

}  // namespace mp::lua
