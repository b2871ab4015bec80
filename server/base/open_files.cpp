#include "base/open_files.hpp"

#include <cerrno>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.hpp"

namespace mp {
namespace {

constexpr int kReaderPatienceMs = 50;  // how long one line waits for the reader of a pipe

int open_for_append(const std::string& path) {
  // O_NONBLOCK: opening a FIFO without a reader fails at once instead of stopping the server.
  return ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644);
}

// A socket, or somebody else's pipe or terminal, cannot be opened by the name /dev/stdout (or through a link
// to it), but this process has it already.
int standard_stream(const std::string& path) {
  struct stat named{};
  if (::stat(path.c_str(), &named) != 0 || S_ISREG(named.st_mode)) return -1;
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    struct stat open{};
    if (fstat(fd, &open) == 0 && open.st_ino == named.st_ino && open.st_dev == named.st_dev) {
      return fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    }
  }
  return -1;
}

int open_log_file(const std::string& path) {
  const int fd = open_for_append(path);
  if (fd != -1 || (errno != ENXIO && errno != EACCES)) return fd;
  const int error = errno;
  const int own = standard_stream(path);
  if (own == -1) errno = error;
  return own;
}

bool is_regular(int fd) {
  struct stat st{};
  return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

}  // namespace

OpenFile::~OpenFile() {
  if (on_flush) on_flush();
  if (fd_ != -1 && !stderr_) ::close(fd_);
}

bool OpenFile::append(std::string_view bytes) const {
  if (fd_ == -1) return errno = EBADF, false;
  if (!regular_) {
    pollfd ready{fd_, POLLOUT, 0};
    if (poll(&ready, 1, kReaderPatienceMs) == 0) return errno = EAGAIN, false;
  }
  for (;;) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n == static_cast<ssize_t>(bytes.size())) return true;
    if (n >= 0) return errno = ENOSPC, false;
    if (errno != EINTR) return false;
  }
}

void OpenFile::adopt(int fd) {
  fd_ = fd;
  regular_ = is_regular(fd);
}

Status OpenFile::open() {
  if (stderr_) {
    adopt(STDERR_FILENO);
    return {};
  }
  const int fd = open_log_file(path_);
  if (fd == -1) return fail(system_error(errno, "open() \"" + path_ + "\" failed"));
  adopt(fd);
  return {};
}

OpenFile* OpenFiles::get(std::string_view path) {
  for (const auto& file : files_) {
    if (file->path() == path) return file.get();
  }
  files_.push_back(std::make_unique<OpenFile>(std::string(path), path.empty()));
  return files_.back().get();
}

Status OpenFiles::open_all() {
  for (const auto& file : files_) {
    if (file->fd_ == -1) TRY(file->open());
  }
  return {};
}

void OpenFiles::open_stderr() {
  (void)get("")->open();
}

void OpenFiles::reopen(const log::Logger& logger, uid_t user) {
  for (const auto& file : files_) {
    if (file->on_flush) file->on_flush();
    if (file->stderr_) continue;
    const int fd = open_log_file(file->path_);
    if (fd == -1) {
      log::emerg(logger, log::Errno{errno}, "open() \"{}\" failed", file->path_);
      continue;
    }
    struct stat st{};
    if (user != static_cast<uid_t>(-1)) {
      const char* failed = nullptr;
      if (fstat(fd, &st) == -1) {
        failed = "stat";
      } else if (st.st_uid != user && fchown(fd, user, static_cast<gid_t>(-1)) == -1) {
        failed = "chown";
      } else if ((st.st_mode & (S_IRUSR | S_IWUSR)) != (S_IRUSR | S_IWUSR) &&
                 fchmod(fd, st.st_mode | S_IRUSR | S_IWUSR) == -1) {
        failed = "chmod";
      }
      if (failed != nullptr) {
        log::emerg(logger, log::Errno{errno}, "{}() \"{}\" failed", failed, file->path_);
        ::close(fd);
        continue;
      }
    }
    if (file->fd_ != -1) ::close(file->fd_);
    file->adopt(fd);
  }
}

void OpenFiles::flush() {
  for (const auto& file : files_) {
    if (file->on_flush) file->on_flush();
  }
}

}  // namespace mp
