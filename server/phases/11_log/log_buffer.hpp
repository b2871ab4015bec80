// LogBuffer: lines of one access log kept back until there are enough, or `flush` has passed. One per log
// file and worker, however many locations write to it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/open_files.hpp"
#include "fiber/scheduler.hpp"

namespace mp::phases {

class LogBuffer final : private fiber::Timer {
 public:
  struct Options {
    std::size_t size = 0;         // bytes kept back
    fiber::Msec flush_after = 0;  // 0: only when full
    int gzip_level = 0;           // 0: plain
  };
  // The file must outlive the buffer; its lines are written out when the file is reopened or closed.
  LogBuffer(OpenFile& file, Options options);

  void append(std::string_view line);
  void flush();
  const Options& options() const { return options_; }

 private:
  void expired() override { flush(); }
  void write_compressed();

  OpenFile& file_;
  Options options_;
  std::string pending_;
};

}  // namespace mp::phases
