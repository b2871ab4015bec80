#include "net/splice.hpp"

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

namespace mp::net {
namespace {

// Room for 64 pieces of what comes from a network; those of this machine are larger.
constexpr int kPipeSize = 256 * 1024;

ssize_t move(int from, int to, std::size_t most) {
  for (;;) {
    const ssize_t n = ::splice(from, nullptr, to, nullptr, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (n >= 0 || errno != EINTR) return n;
  }
}

}  // namespace

Splice::~Splice() {
  if (in_ < 0) return;
  ::close(in_);
  ::close(out_);
}

bool Splice::fits(const Socket& from, const Socket& to) {
  return from.layer() == nullptr && to.layer() == nullptr && from.fd() >= 0 && to.fd() >= 0;
}

bool Splice::open() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return false;
  out_ = ends[0];
  in_ = ends[1];
  (void)::fcntl(in_, F_SETPIPE_SZ, kPipeSize);  // else it stays as small as it is
  return true;
}

Io Splice::take(Socket& from, std::size_t most) {
  const ssize_t n = move(from.fd(), in_, most);
  if (n == 0) return Io::eof();
  if (n < 0) {
    if (errno != EAGAIN) return Io::failed(errno);
    from.readable = false;
    return Io::again();
  }
  held_ = static_cast<std::size_t>(n);
  from.bytes_read += held_;
  return Io::moved(held_);
}

Io Splice::give(Socket& to) {
  const ssize_t n = move(out_, to.fd(), held_);
  if (n < 0) {
    if (errno != EAGAIN) return Io::failed(errno);
    to.writable = false;
    return Io::again();
  }
  held_ -= static_cast<std::size_t>(n);
  to.bytes_written += static_cast<std::size_t>(n);
  return Io::moved(static_cast<std::size_t>(n));
}

}  // namespace mp::net
