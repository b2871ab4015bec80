// LogFileCache: open descriptors of access logs whose names have variables: open_log_file_cache. Made with
// the configuration, filled by the worker that writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include <sys/types.h>

namespace mp::phases {

class LogFileCache {
 public:
  struct Options {
    std::size_t max = 0;
    std::int64_t inactive = 10;  // seconds without use after which a file is forgotten
    std::int64_t valid = 60;     // seconds after which its name is looked at again
    std::int64_t min_uses = 1;   // before it stays open
  };
  explicit LogFileCache(Options options) : options_(options) {}
  LogFileCache(const LogFileCache&) = delete;
  LogFileCache& operator=(const LogFileCache&) = delete;
  ~LogFileCache();

  // Appends to the file. 0, or the errno of the failure in `failed_call`.
  int append(const std::string& name, std::string_view line, const char*& failed_call);

 private:
  struct Entry {
    std::string name;
    int fd = -1;
    std::int64_t uses = 0;
    std::int64_t used = 0;     // monotonic seconds
    std::int64_t checked = 0;  // the name was seen to stand for this file
    ino_t inode = 0;
    dev_t device = 0;
  };
  using Entries = std::list<Entry>;

  Entry& find(const std::string& name);
  int open(Entry& entry, const char*& failed_call);
  void check(Entry& entry);
  void drop_oldest();
  static void close(Entry& entry);

  Options options_;
  Entries entries_;  // the one used last in front
  std::unordered_map<std::string_view, Entries::iterator> by_name_;
};

}  // namespace mp::phases
