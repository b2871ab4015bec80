#include "base/log_sinks.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/clock.hpp"

namespace mp::log {
namespace {

// spdlog has fewer levels; syslog takes the exact severity from the line's logger name, which carries it.
int severity(const spdlog::details::log_msg& msg) {
  return msg.logger_name.size() == 1 ? msg.logger_name.data()[0] - '0' : 3;
}

}  // namespace

void FileSink::log(const spdlog::details::log_msg& msg) {
  if (full_second_ == clock().seconds()) return;
  const bool written = file_->append({msg.payload.data(), msg.payload.size()});
  if (!written && (errno == ENOSPC || errno == EAGAIN)) full_second_ = clock().seconds();
}

void SyslogSink::log(const spdlog::details::log_msg& msg) {
  std::string_view line(msg.payload.data(), msg.payload.size());
  if (!line.empty() && line.back() == '\n') line.remove_suffix(1);
  (void)syslog_.send(severity(msg), line);
}

MemorySink::MemorySink(std::size_t size, std::string_view where) {
  buffer_ = "MEMLOG " + std::to_string(size) + " " + std::string(where) + "\n";
  start_ = buffer_.size();
  buffer_.resize(std::max(size, start_ + 1), ' ');
}

void MemorySink::log(const spdlog::details::log_msg& msg) {
  const std::size_t room = buffer_.size() - start_;
  const std::size_t length = std::min(msg.payload.size(), room);
  const std::size_t at = written_ % room;
  const std::size_t first = std::min(length, room - at);
  std::memcpy(buffer_.data() + start_ + at, msg.payload.data(), first);
  std::memcpy(buffer_.data() + start_, msg.payload.data() + first, length - first);
  written_ += length;
}

}  // namespace mp::log
