#include "http/temp_file.hpp"

#include <atomic>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mp::http {
namespace {

// Names of ten digits, as many files as may exist at a time; the start differs from worker to worker.
std::uint32_t next_number() {
  static std::uint32_t number = static_cast<std::uint32_t>(getpid()) * 7919u;
  return ++number;
}

std::string file_name(const conf::LevelledPath& where, std::uint32_t number) {
  std::string digits = std::to_string(number);
  digits.insert(0, 10 - digits.size(), '0');
  std::string path(where.path);
  std::size_t end = digits.size();
  for (std::uint8_t length : where.levels) {
    if (length == 0) break;
    end -= length;
    path.append("/").append(digits, end, length);
  }
  return path.append("/").append(digits);
}

// Makes the sub-folders between `root` and the file.
bool make_folders(const std::string& path, std::size_t root) {
  for (std::size_t slash = path.find('/', root + 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    if (mkdir(path.substr(0, slash).c_str(), 0700) != 0 && errno != EEXIST) return false;
  }
  return true;
}

}  // namespace

TempFile::TempFile(TempFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      size_(other.size_),
      path_(std::move(other.path_)),
      remove_(other.remove_) {}

TempFile& TempFile::operator=(TempFile&& other) noexcept {
  if (this == &other) return *this;
  close();
  fd_ = std::exchange(other.fd_, -1);
  size_ = other.size_;
  path_ = std::move(other.path_);
  remove_ = other.remove_;
  return *this;
}

Status TempFile::create(const conf::LevelledPath& where, bool group_access) {
  close();
  size_ = 0;
  remove_ = true;
  constexpr int kTries = 100;
  for (int i = 0; i < kTries; ++i) {
    path_ = file_name(where, next_number());
    const int mode = group_access ? 0660 : 0600;
    fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd_ < 0 && errno == ENOENT && where.levels[0] != 0 && make_folders(path_, where.path.size())) {
      fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    }
    if (fd_ >= 0) return {};
    if (errno != EEXIST) break;
  }
  return fail(system_error(errno, "open() \"" + path_ + "\" failed"));
}

Status TempFile::open(std::string_view path, bool remove) {
  close();
  path_ = path;
  remove_ = remove;
  fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd_ < 0) return fail(system_error(errno, "open() \"" + path_ + "\" failed"));
  struct stat st{};
  if (::fstat(fd_, &st) != 0 || !S_ISREG(st.st_mode)) {
    remove_ = false;
    close();
    return fail("open() \"" + path_ + "\" failed: not a regular file");
  }
  size_ = static_cast<std::uint64_t>(st.st_size);
  return {};
}

Status TempFile::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(size_));
    if (n < 0) {
      if (errno == EINTR) continue;
      return fail(system_error(errno, "pwrite() \"" + path_ + "\" failed"));
    }
    size_ += static_cast<std::uint64_t>(n);
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

void TempFile::close() {
  if (fd_ < 0) return;
  ::close(fd_);
  fd_ = -1;
  if (remove_) ::unlink(path_.c_str());
}

}  // namespace mp::http
