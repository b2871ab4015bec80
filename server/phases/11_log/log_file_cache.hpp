// LogFileCache: open_log_file_cache, descriptors of logs whose names have variables. Belongs to the
// configuration; each worker fills its own copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/result.hpp"
#include "fiber/timer_wheel.hpp"

namespace mp::phases {

// A log open for appending; the descriptor is closed with the last user.
class LogFile {
 public:
  explicit LogFile(int fd) : fd_(fd) {}
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;
  ~LogFile();
  int fd() const { return fd_; }

 private:
  int fd_;
};
using LogFileRef = std::shared_ptr<const LogFile>;

// Null with errno set when it cannot be opened.
LogFileRef open_log(const std::string& path);

class LogFileCache {
 public:
  struct Options {
    std::size_t max = 0;           // files kept open
    fiber::Msec inactive = 10000;  // closed when not written to for so long
    fiber::Msec valid = 60000;     // how often the name is looked at: the file may have been moved away
    std::int64_t min_uses = 1;     // within `inactive`, before a file is kept open
  };
  explicit LogFileCache(Options options) : options_(options) {}

  LogFileRef get(const std::string& path, fiber::Msec now);

 private:
  struct Entry {
    LogFileRef file;  // null: not used often enough
    std::list<std::string>::iterator place;
    std::int64_t uses = 0;
    fiber::Msec used_at = 0;
    fiber::Msec checked_at = 0;
  };

  void drop_inactive(fiber::Msec now);

  const Options options_;
  std::unordered_map<std::string, Entry> entries_;
  std::list<std::string> order_;  // used last in front
};

}  // namespace mp::phases
