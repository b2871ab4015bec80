// proxy_store: a complete response with status 200 is kept as a file.
#include <cerrno>
#include <cstdio>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.hpp"
#include "http/core_conf.hpp"
#include "upstream/body_pump.hpp"

namespace mp::upstream {
namespace {

// The file a URI stands for under root or alias.
std::string path_of(http::Request& r) {
  const auto& core = r.conf<http::CoreLocation>();
  std::string_view uri = r.uri;
  if (core.alias && core.location != nullptr && core.location->kind != http::Location::Kind::regex) {
    uri.remove_prefix(std::min(uri.size(), core.location->name.size()));
  }
  std::string path(core.root->evaluate(r));
  if (core.alias && core.location != nullptr && core.location->kind == http::Location::Kind::regex)
    return path;
  return path.append(uri);
}

// Folders get what files get, and may be searched by whoever may read them.
bool make_folders(const std::string& path, unsigned mode) {
  const mode_t folder_mode = mode | (mode & 0400) >> 2 | (mode & 0040) >> 2 | (mode & 0004) >> 2 | 0700;
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    if (mkdir(path.substr(0, slash).c_str(), folder_mode) != 0 && errno != EEXIST) return false;
  }
  return true;
}

// Across file systems a rename is a copy under a name of its own, renamed when it is complete.
Status copy_file(int from, std::uint64_t size, const std::string& to, unsigned mode) {
  const std::string part = to + ".part." + std::to_string(getpid());
  const int fd = ::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (fd < 0) return fail(system_error(errno, "open() \"" + part + "\" failed"));
  off_t offset = 0;
  int error = 0;
  char buffer[16384];
  while (error == 0 && static_cast<std::uint64_t>(offset) < size) {
    const ssize_t n = ::pread(from, buffer, sizeof buffer, offset);
    if (n <= 0) error = n < 0 ? errno : EIO;
    if (n > 0 && ::write(fd, buffer, static_cast<std::size_t>(n)) != n) error = errno != 0 ? errno : ENOSPC;
    offset += n;
  }
  ::close(fd);
  if (error == 0 && ::rename(part.c_str(), to.c_str()) != 0) error = errno;
  if (error == 0) return {};
  ::unlink(part.c_str());
  return fail(system_error(error, "copy to \"" + to + "\" failed"));
}

}  // namespace

void BodyPump::finish_store() {
  const std::int64_t expected = reply_.content_length;
  if (reply_.status != 200 || store_failed_) return;
  if (stored_.fd() < 0) store({});
  if (store_failed_ || (expected >= 0 && static_cast<std::uint64_t>(expected) != stored_.size())) return;

  const http::Template& wanted = conf_.store->path;
  const std::string path = wanted.empty() ? path_of(r_) : std::string(wanted.evaluate(r_));
  if (path.empty()) return;
  const unsigned mode = conf_.store_access.get();
  if (fchmod(stored_.fd(), mode) != 0) {
    log::crit(r_.logger, log::Errno{errno}, "chmod() \"{}\" failed", stored_.path());
    return;
  }
  if (const http::HeaderField* field = reply_.fields.find(http::HeaderId::last_modified)) {
    if (const auto time = parse_http_date(field->value)) {
      const timespec times[2] = {{*time, 0}, {*time, 0}};
      (void)futimens(stored_.fd(), times);
    }
  }
  if (::rename(stored_.path().c_str(), path.c_str()) == 0) return stored_.keep();
  int error = errno;
  if (error == ENOENT && make_folders(path, mode)) {
    if (::rename(stored_.path().c_str(), path.c_str()) == 0) return stored_.keep();
    error = errno;
  }
  if (error == EXDEV) {
    if (const Status copied = copy_file(stored_.fd(), stored_.size(), path, mode); !copied) {
      log::crit(r_.logger, "{}", copied.error().text);
    }
    return;
  }
  log::crit(r_.logger, log::Errno{error}, "rename() \"{}\" to \"{}\" failed", stored_.path(), path);
}

}  // namespace mp::upstream
