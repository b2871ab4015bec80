// LogBuffer: lines of one access log kept back until there are enough, or `flush` has passed. One per log
// file and worker, however many locations write to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/log.hpp"
#include "base/open_files.hpp"
#include "fiber/scheduler.hpp"

namespace mp::phases {

// When the error log was last told that an access log cannot be written: once a minute is enough.
struct LogComplaint {
  std::int64_t minute = -1;
};
void complain(const log::Logger& logger, LogComplaint& complaint, std::string_view path, int error);

class LogBuffer final : private fiber::Timer {
 public:
  struct Options {
    std::size_t size = 0;         // bytes kept back
    fiber::Msec flush_after = 0;  // 0: only when full
    int gzip_level = 0;           // 0: plain
  };
  // The file must outlive the buffer; lines are written out when the file is reopened, and at the end.
  LogBuffer(OpenFile& file, Options options, log::Logger logger);

  LogBuffer(const LogBuffer&) = delete;
  LogBuffer& operator=(const LogBuffer&) = delete;
  ~LogBuffer();

  void append(std::string_view line);
  void flush();
  const Options& options() const { return options_; }

 private:
  void expired() override { flush(); }
  void write_compressed();
  void write(std::string_view bytes);

  OpenFile& file_;
  Options options_;
  log::Logger logger_;
  LogComplaint complaint_;
  std::string pending_;
};

}  // namespace mp::phases
