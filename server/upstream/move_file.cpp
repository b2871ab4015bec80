#include "upstream/move_file.hpp"

#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fiber/blocking.hpp"

namespace mp::upstream {
namespace {

bool make_folders(const std::string& path, unsigned folder_mode) {
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

Status move_file(http::TempFile& file, const std::string& to, unsigned mode, unsigned folder_mode) {
  const auto rename = [&] { return ::rename(file.path().c_str(), to.c_str()) == 0 ? 0 : errno; };
  int error = rename();
  if (error == ENOENT && make_folders(to, folder_mode)) error = rename();
  if (error == EXDEV) {
    if (!make_folders(to, folder_mode)) return fail(system_error(errno, "mkdir() for \"" + to + "\" failed"));
    Status copied;
    fiber::run_blocking([&] { copied = copy_file(file.fd(), file.size(), to, mode); });
    return copied;
  }
  if (error != 0) {
    return fail(system_error(error, "rename() \"" + file.path() + "\" to \"" + to + "\" failed"));
  }
  file.keep();
  return {};
}

}  // namespace mp::upstream
