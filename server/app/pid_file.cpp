#include "app/pid_file.hpp"

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "base/numbers.hpp"

namespace mp::app {
namespace {

tl::unexpected<Error> open_failed(const std::string& path) {
  return fail(system_error(errno, "open() \"" + path + "\" failed"));
}

}  // namespace

Status write_pid_file(const std::string& path, pid_t pid, bool testing) {
  const int flags = O_RDWR | O_CREAT | O_CLOEXEC | (testing ? 0 : O_TRUNC);
  const int fd = ::open(path.c_str(), flags, 0644);
  if (fd == -1) return open_failed(path);
  const std::string text = std::to_string(pid) + "\n";
  const bool written = testing || ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int errnum = errno;
  ::close(fd);
  if (!written) return fail(system_error(errnum, "write() \"" + path + "\" failed"));
  return {};
}

Result<pid_t> read_pid_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd == -1) return open_failed(path);
  char buffer[32];
  const ssize_t n = ::read(fd, buffer, sizeof buffer);
  const int errnum = errno;
  ::close(fd);
  if (n == -1) return fail(system_error(errnum, "read() \"" + path + "\" failed"));
  std::string_view text(buffer, static_cast<std::size_t>(n));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  const auto pid = parse_natural<pid_t>(text);
  if (!pid || *pid == 0) return fail("invalid PID number \"" + std::string(text) + "\" in \"" + path + "\"");
  return *pid;
}

}  // namespace mp::app
