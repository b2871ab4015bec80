#include "phases/11_log/log_file_cache.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.hpp"

namespace mp::phases {
namespace {

std::int64_t now() {
  return static_cast<std::int64_t>(clock().monotonic_ms() / 1000);
}

}  // namespace

LogFileCache::~LogFileCache() {
  for (Entry& entry : entries_) close(entry);
}

void LogFileCache::close(Entry& entry) {
  if (entry.fd >= 0) ::close(entry.fd);
  entry.fd = -1;
}

void LogFileCache::drop_oldest() {
  close(entries_.back());
  by_name_.erase(entries_.back().name);
  entries_.pop_back();
}

LogFileCache::Entry& LogFileCache::find(const std::string& name) {
  while (!entries_.empty() && now() - entries_.back().used >= options_.inactive) drop_oldest();
  if (const auto found = by_name_.find(name); found != by_name_.end()) {
    entries_.splice(entries_.begin(), entries_, found->second);
    return entries_.front();
  }
  if (entries_.size() >= options_.max) drop_oldest();
  entries_.push_front({.name = name});
  by_name_.emplace(entries_.front().name, entries_.begin());
  return entries_.front();
}

// The name may stand for another file by now, or for none.
void LogFileCache::check(Entry& entry) {
  if (entry.fd < 0 || now() - entry.checked < options_.valid) return;
  struct stat facts{};
  const bool same =
      ::stat(entry.name.c_str(), &facts) == 0 && facts.st_ino == entry.inode && facts.st_dev == entry.device;
  if (!same) return close(entry);
  entry.checked = now();
}

int LogFileCache::open(Entry& entry, const char*& failed_call) {
  entry.fd = ::open(entry.name.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644);
  if (entry.fd < 0) {
    failed_call = "open()";
    return errno;
  }
  struct stat facts{};
  if (fstat(entry.fd, &facts) == 0) {
    entry.inode = facts.st_ino;
    entry.device = facts.st_dev;
  }
  entry.checked = now();
  return 0;
}

int LogFileCache::append(const std::string& name, std::string_view line, const char*& failed_call) {
  Entry& entry = find(name);
  ++entry.uses;
  entry.used = now();
  check(entry);
  if (entry.fd < 0) {
    if (const int error = open(entry, failed_call)) return error;
  }
  int error = 0;
  if (::write(entry.fd, line.data(), line.size()) < 0) {
    error = errno;
    failed_call = "write() to";
  }
  if (entry.uses < options_.min_uses) close(entry);
  return error;
}

}  // namespace mp::phases
