#include "http/file_io.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include "conf/configuration.hpp"
#include "fiber/scheduler.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"
#include "http/ssl_connection.hpp"
#include "http/temp_file.hpp"

namespace mp::http {
namespace {

constexpr std::string_view kDefaultPool = "default";

template <class Work>
class FileJob final : public fiber::ThreadPool::Job {
 public:
  explicit FileJob(Work& work) : work_(work) {}
  void run() override { work_(); }

 private:
  Work& work_;
};

// Runs `work` on a thread of the location's pool and waits until it has ended, whatever happens: it uses this
// stack. False with errno set when no thread takes it.
template <class Work>
bool on_thread(Request& r, Work work) {
  const auto& conf = r.conf<FileIoConf>();
  const std::string_view name = conf.pool.empty() ? kDefaultPool : conf.pool.evaluate(r);
  fiber::ThreadPool* pool = r.conf<FilePools>().find(r.conf<conf::ProcessConf>(), name);
  if (pool == nullptr) {
    log::error(r.logger, "thread pool \"{}\" not found", name);
    return errno = ENOENT, false;
  }
  const auto job = std::make_shared<FileJob<Work>>(work);
  if (!pool->post(job)) {
    log::error(r.logger, "thread pool \"{}\" queue overflow", name);
    return errno = EAGAIN, false;
  }
  const fiber::CancelShield shield;
  fiber::ThreadPool::wait(*job);
  return true;
}

ssize_t pread_fully(int fd, char* into, std::size_t size, off_t offset) {
  std::size_t done = 0;
  while (done < size) {
    const ssize_t n = ::pread(fd, into + done, size - done, offset + static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return static_cast<ssize_t>(done);
}

ssize_t pread_on_thread(Request& r, int fd, char* into, std::size_t size, off_t offset) {
  ssize_t result = -1;
  int error = 0;
  const bool taken = on_thread(r, [&] {
    result = pread_fully(fd, into, size, offset);
    error = errno;
  });
  if (taken) errno = error;
  return result;
}

bool is_direct(Request& r, int fd) {
  if (r.conf<FileIoConf>().directio < 0) return false;
  const int flags = fcntl(fd, F_GETFL);
  return flags != -1 && (flags & O_DIRECT) != 0;
}

// Offsets, lengths and memory of direct input are multiples of the alignment: through a buffer that is.
ssize_t read_direct(Request& r, int fd, std::span<char> into, off_t offset) {
  const auto& conf = r.conf<FileIoConf>();
  const std::size_t unit = std::max<std::size_t>(conf.directio_alignment, 512);
  constexpr std::size_t kMost = 256 * 1024;
  const auto skip = static_cast<std::size_t>(offset) % unit;
  std::size_t room = (std::min(skip + into.size(), kMost) + unit - 1) / unit * unit;
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  const std::unique_ptr<char, Free> buffer(
      static_cast<char*>(std::aligned_alloc(std::max<std::size_t>(unit, 4096), (room + 4095) / 4096 * 4096)));
  if (buffer == nullptr) return errno = ENOMEM, -1;
  off_t from = offset - static_cast<off_t>(skip);
  std::size_t begin = skip;
  std::size_t done = 0;
  while (done < into.size()) {
    const std::size_t want = std::min(room, (begin + into.size() - done + unit - 1) / unit * unit);
    ssize_t n;
    if (conf.aio.get() == Aio::off) {
      n = ::pread(fd, buffer.get(), want, from);
    } else {
      int error = 0;
      n = -1;
      const bool taken = on_thread(r, [&] {
        n = ::pread(fd, buffer.get(), want, from);
        error = errno;
      });
      if (taken) errno = error;
    }
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    const auto got = static_cast<std::size_t>(n);
    if (got <= begin) break;
    const std::size_t used = std::min(got - begin, into.size() - done);
    std::memcpy(into.data() + done, buffer.get() + begin, used);
    done += used;
    if (got < want) break;
    from += n;
    begin = 0;
  }
  return static_cast<ssize_t>(done);
}

}  // namespace

fiber::ThreadPool* FilePools::find(const conf::ProcessConf& process, std::string_view name) {
  if (const auto it = pools_.find(name); it != pools_.end()) return &it->second;
  for (const auto& line : process.thread_pools) {
    if (line.name != name) continue;
    const fiber::ThreadPool::Limits limits{line.threads, line.max_queue};
    return &pools_.try_emplace(std::string(name), limits).first->second;
  }
  if (name != kDefaultPool) return nullptr;
  return &pools_.try_emplace(std::string(name), fiber::ThreadPool::Limits{}).first->second;
}

ssize_t read_file_now(Request& r, int fd, std::span<char> into, off_t offset) {
  bool& knows_memory = r.conf<CoreBlock>().files_know_memory;
  const iovec whole{into.data(), into.size()};
  while (knows_memory) {
    const ssize_t n = ::preadv2(fd, &whole, 1, offset, RWF_NOWAIT);
    if (n >= 0) return n;
    if (errno == EINTR) continue;
    if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL) return -1;
    knows_memory = false;
  }
  return pread_fully(fd, into.data(), into.size(), offset);
}

ssize_t read_file(Request& r, int fd, std::span<char> into, off_t offset) {
  if (is_direct(r, fd)) return read_direct(r, fd, into, offset);
  bool& knows_memory = r.conf<CoreBlock>().files_know_memory;
  std::size_t done = 0;
  while (done < into.size()) {
    const iovec rest{into.data() + done, into.size() - done};
    const off_t at = offset + static_cast<off_t>(done);
    const ssize_t n = knows_memory ? ::preadv2(fd, &rest, 1, at, RWF_NOWAIT) : -1;
    if (n == 0) break;
    if (n > 0) {
      done += static_cast<std::size_t>(n);
      continue;
    }
    if (knows_memory) {
      if (errno == EINTR) continue;
      if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL) {
        knows_memory = false;
      } else if (errno != EAGAIN) {
        return -1;
      }
    }
    const bool thread = knows_memory || r.conf<FileIoConf>().aio.get() == Aio::threads;
    const ssize_t more = thread ? pread_on_thread(r, fd, into.data() + done, into.size() - done, at)
                                : pread_fully(fd, into.data() + done, into.size() - done, at);
    return more < 0 ? -1 : static_cast<ssize_t>(done) + more;
  }
  return static_cast<ssize_t>(done);
}

bool in_memory(Request& r, const Output& output, const std::function<bool(const Output&)>& take) {
  std::unique_ptr<char[]> buffer;
  const std::size_t room = std::max<std::size_t>(r.conf<FileIoConf>().output_buffers->size, 4096);
  for (std::size_t i = 0; i < output.pieces.size(); ++i) {
    const Piece& piece = output.pieces[i];
    const bool last_piece = i + 1 == output.pieces.size();
    if (!piece.in_file()) {
      if (!take({{&piece, 1}, output.last && last_piece, output.flush && last_piece})) return false;
      continue;
    }
    if (buffer == nullptr) buffer = std::make_unique<char[]>(room);
    for (std::size_t done = 0; done < piece.file_size;) {
      const std::size_t n = std::min(room, piece.file_size - done);
      const ssize_t got = read_file(r, piece.fd, {buffer.get(), n}, piece.offset + static_cast<off_t>(done));
      if (got < static_cast<ssize_t>(n)) {
        log::alert(r.logger, log::Errno{got < 0 ? errno : 0}, "pread() read only {} of {} from a file",
                   std::max<ssize_t>(got, 0), n);
        return false;
      }
      done += n;
      const bool end = last_piece && done == piece.file_size;
      const Piece part = Piece::memory({buffer.get(), n});
      if (!take({{&part, 1}, output.last && end, output.flush && end})) return false;
    }
  }
  return output.pieces.empty() ? take(output) : true;
}

bool reads_specially(const Request& r) {
  const auto& conf = r.conf<FileIoConf>();
  return conf.aio.get() != Aio::off || conf.directio >= 0;
}

SendFile how_to_send(Request& r, int fd) {
  if (!r.conf<CoreLocation>().sendfile || is_direct(r, fd)) return SendFile::by_reading;
  const bool threads = r.conf<FileIoConf>().aio.get() == Aio::threads;
  if (r.connection.socket.layer() == nullptr) return threads ? SendFile::on_thread : SendFile::directly;
  const SslConnection* ssl = r.connection.ssl.get();
  const bool by_kernel = ssl != nullptr && ssl->stream().kernel_encrypts() && !threads;
  return by_kernel ? SendFile::directly : SendFile::by_reading;
}

net::Io sendfile_on_thread(Request& r, net::Socket& socket, int fd, off_t offset, std::size_t size,
                           fiber::Msec timeout) {
  std::size_t done = 0;
  while (done < size) {
    if (!socket.is_open()) return net::Io::failed(EBADF, done);
    off_t at = offset + static_cast<off_t>(done);
    ssize_t n = -1;
    int error = 0;
    // Cleared before the call: an event that comes while the thread works says that there is room again.
    socket.writable = false;
    const bool taken = on_thread(r, [&, to = socket.fd()] {
      do {
        n = ::sendfile(to, fd, &at, size - done);
        error = errno;
      } while (n < 0 && error == EINTR);
    });
    if (!taken) return net::Io::failed(errno, done);
    if (n == 0) return {net::Io::Kind::eof, 0, done};
    if (n > 0) {
      done += static_cast<std::size_t>(n);
      socket.bytes_written += static_cast<std::uint64_t>(n);
      socket.writable = true;
      continue;
    }
    if (error != EAGAIN) return net::Io::failed(error, done);
    if (!socket.wait_writable(fiber::now() + timeout)) return net::Io::timeout(done);
  }
  return net::Io::moved(done);
}

bool appends_by_thread(const Request& r) {
  const auto& conf = r.conf<FileIoConf>();
  return conf.aio_write && conf.aio.get() == Aio::threads;
}

Status append_to(Request& r, TempFile& file, std::string_view bytes) {
  if (!appends_by_thread(r)) return file.append(bytes);
  Status result;
  if (!on_thread(r, [&] { result = file.append(bytes); })) {
    return fail(system_error(errno, "writing \"" + file.path() + "\" failed"));
  }
  return result;
}

void prepare_file(Request& r, int fd, off_t size, std::string_view path) {
  const auto& conf = r.conf<FileIoConf>();
  constexpr off_t kWorthIt = 128 * 1024;
  if (conf.read_ahead != 0 && size > kWorthIt) {
    if (const int error = posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL)) {
      log::alert(r.logger, log::Errno{error}, "posix_fadvise(POSIX_FADV_SEQUENTIAL) \"{}\" failed", path);
    }
  }
  if (conf.directio < 0 || size < conf.directio) return;
  const int flags = fcntl(fd, F_GETFL);
  if (flags == -1 || fcntl(fd, F_SETFL, flags | O_DIRECT) == -1) {
    log::alert(r.logger, log::Errno{errno}, "fcntl(O_DIRECT) \"{}\" failed", path);
  }
}

}  // namespace mp::http
