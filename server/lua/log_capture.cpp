#include "lua/log_capture.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/clock.hpp"
#include "base/numbers.hpp"
#include "conf/configuration.hpp"
#include "conf/process_conf.hpp"
#include "http/core_conf.hpp"
#include "lua/runtime.hpp"

namespace mp::lua {

namespace {

// Makes `capture` a target of every error log there is, at the level the log has anyway.
void attach(conf::Configuration& configuration, const std::shared_ptr<LogCapture>& capture) {
  std::vector<log::ErrorLog*> logs = {&configuration.root().get<conf::ProcessWide>().error_log};
  for (conf::ConfSet* set : configuration.sets(conf::Level::location)) {
    log::ErrorLog* log = set->get<http::CoreLocation>().error_log.get();
    if (log != nullptr && std::find(logs.begin(), logs.end(), log) == logs.end()) logs.push_back(log);
  }
  for (log::ErrorLog* log : logs) log->add_sink(capture, log->level());
}

}  // namespace

void LogCapture::log(const spdlog::details::log_msg& msg) {
  // The logger's name is the syslog severity: see log::ErrorLog::send().
  const auto level = static_cast<log::Level>(msg.logger_name[0] - '0' + 1);
  if (level > level_) return;
  std::string_view text(msg.payload.data(), msg.payload.size());
  if (text.ends_with('\n')) text.remove_suffix(1);
  const std::size_t needed = text.size() + kLineOverhead;
  if (needed > capacity_) return;
  while (used_ + needed > capacity_) take();
  used_ += needed;
  lines_.push_back({level, clock().now(), std::string(text)});
}

std::optional<LogCapture::Line> LogCapture::take() {
  if (lines_.empty()) return std::nullopt;
  Line line = std::move(lines_.front());
  lines_.pop_front();
  used_ -= line.text.size() + kLineOverhead;
  return line;
}

Status capture_error_log(conf::Context& ctx, const conf::Node& node) {
  auto& capture = ctx.conf<RuntimeMain>().capture;
  if (capture != nullptr) return fail("is duplicate");
  const auto size = parse_size(node.arg(0));
  if (!size || static_cast<std::size_t>(*size) < log::kMaxLine) {
    return ctx.error(node.args[0], "invalid capture error log size \"" + std::string(node.arg(0)) +
                                       "\", minimum size is " + std::to_string(log::kMaxLine));
  }
  capture = std::make_shared<LogCapture>(static_cast<std::size_t>(*size));
  ctx.conf<conf::ProcessWide>().preparations.push_back(
      [kept = capture](conf::Configuration& configuration, bool) -> Status {
        attach(configuration, kept);
        return {};
      });
  return {};
}

}  // namespace mp::lua
