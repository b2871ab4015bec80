#include "phases/11_log/log_file_cache.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mp::phases {
namespace {

// Whether `path` still leads to the open file.
bool same_file(const std::string& path, int fd) {
  struct stat named{};
  struct stat open{};
  return ::stat(path.c_str(), &named) == 0 && ::fstat(fd, &open) == 0 && named.st_ino == open.st_ino &&
         named.st_dev == open.st_dev;
}

}  // namespace

LogFile::~LogFile() {
  ::close(fd_);
}

LogFileRef open_log(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644);
  return fd < 0 ? nullptr : std::make_shared<LogFile>(fd);
}

LogFileRef LogFileCache::get(const std::string& path, fiber::Msec now) {
  drop_inactive(now);
  auto it = entries_.find(path);
  LogFileRef file;
  if (it == entries_.end()) {
    file = open_log(path);  // first: a file that cannot be opened pushes none out
    if (file == nullptr) return nullptr;
    if (entries_.size() >= options_.max) {
      entries_.erase(order_.back());
      order_.pop_back();
    }
    order_.push_front(path);
    it = entries_.emplace(path, Entry{nullptr, order_.begin()}).first;
  }
  Entry& e = it->second;
  order_.splice(order_.begin(), order_, e.place);
  ++e.uses;
  e.used_at = now;
  if (e.file != nullptr && now - e.checked_at >= options_.valid) {
    e.checked_at = now;
    if (!same_file(path, e.file->fd())) e.file.reset();
  }
  if (e.file != nullptr) return e.file;
  if (file == nullptr) file = open_log(path);
  if (file != nullptr && e.uses >= options_.min_uses) {
    e.file = file;
    e.checked_at = now;
  }
  return file;
}

void LogFileCache::drop_inactive(fiber::Msec now) {
  while (!order_.empty()) {
    const auto oldest = entries_.find(order_.back());
    if (now - oldest->second.used_at < options_.inactive) return;
    entries_.erase(oldest);
    order_.pop_back();
  }
}

}  // namespace mp::phases
