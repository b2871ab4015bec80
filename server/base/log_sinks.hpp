// The targets of an ErrorLog, as spdlog sinks: a file, a syslog server, a memory ring for the debugger. Each
// is handed complete lines (log_msg.payload, newline included) and writes them as they are. One process
// writes them; they are owned by the configuration.
#pragma once

#include <cstdint>
#include <string>

#include <spdlog/sinks/sink.h>

#include "base/open_files.hpp"
#include "base/syslog.hpp"

namespace mp::log {

// Patterns do not apply: the line is built once for all targets.
class LineSink : public spdlog::sinks::sink {
 public:
  void flush() override {}
  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}
};

class FileSink final : public LineSink {
 public:
  explicit FileSink(OpenFile* file) : file_(file) {}
  void log(const spdlog::details::log_msg& msg) override;
  const OpenFile& file() const { return *file_; }

 private:
  OpenFile* file_;
  std::int64_t full_second_ = -1;  // a full disk or a stalled reader is left alone for the rest of the second
};

class SyslogSink final : public LineSink {
 public:
  explicit SyslogSink(SyslogOptions options) : syslog_(std::move(options)) {}
  void log(const spdlog::details::log_msg& msg) override;

 private:
  Syslog syslog_;
};

// "error_log memory:32m debug;": the newest lines, kept in memory where a debugger or a core file shows them
// behind the text "MEMLOG SIZE FILE:LINE".
class MemorySink final : public LineSink {
 public:
  MemorySink(std::size_t size, std::string_view where);
  void log(const spdlog::details::log_msg& msg) override;
  std::string_view contents() const { return buffer_; }

 private:
  std::string buffer_;
  std::size_t start_;  // behind the title
  std::size_t written_ = 0;
};

}  // namespace mp::log
