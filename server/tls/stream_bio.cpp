// OpenSSL's input and output: our BIO between it and the socket's own calls.
#include <cerrno>
#include <cstring>
#include <utility>

#include <openssl/bio.h>
#include <sys/socket.h>

#include "fiber/scheduler.hpp"
#include "tls/hello.hpp"
#include "tls/stream.hpp"

namespace mp::tls {

using net::Io;

namespace {

constexpr std::size_t kMostPlain = 4096;         // of a client that speaks no TLS, read at once
constexpr std::size_t kMostUnsent = 256 * 1024;  // answers to messages of a peer that reads nothing

// Those that may have records waiting in this pass.
constinit thread_local Stream* first_waiting = nullptr;

// What a socket has to say before anything else.
int pending_error(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

}  // namespace

// Our side of OpenSSL's input and output.
struct StreamBio {
  static Stream& stream(BIO* bio) { return *static_cast<Stream*>(BIO_get_data(bio)); }
  static int write(BIO* bio, const char* data, int size) {
    BIO_clear_retry_flags(bio);
    const int n = stream(bio).bio_write(data, size);
    if (n < 0) BIO_set_retry_write(bio);
    return n;
  }
  static int read(BIO* bio, char* data, int size) {
    BIO_clear_retry_flags(bio);
    const int n = stream(bio).bio_read(data, size);
    if (n == -EAGAIN) {
      BIO_set_retry_read(bio);
      return -1;
    }
    return n;
  }
  static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

  static BIO_METHOD* method() {
    static BIO_METHOD* const m = [] {
      BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "fiber socket");
      BIO_meth_set_write(made, write);
      BIO_meth_set_read(made, read);
      BIO_meth_set_ctrl(made, control);
      return made;
    }();
    return m;
  }
};

void Stream::use_own_bio() {
  BIO* bio = BIO_new(StreamBio::method());
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl(), bio, bio);
}

int Stream::bio_write(const char* data, int size) {
  const auto n = static_cast<std::size_t>(size);
  if (n <= room_.size() - room_used_) {
    std::memcpy(room_.data() + room_used_, data, n);
    room_used_ += n;
    return size;
  }
  if (out_.size() - out_sent_ + n > kMostUnsent) return -1;
  out_.insert(out_.end(), data, data + n);
  return size;
}

// Bytes, 0 at the end, -EAGAIN, or -1.
int Stream::bio_read(char* data, int size) {
  if (!fetched_.empty()) {
    const std::size_t n = fetched_.copy(data, static_cast<std::size_t>(size));
    fetched_.remove_prefix(n);
    return static_cast<int>(n);
  }
  if (!socket_->readable) return -EAGAIN;
  const Io io = socket_->raw_read({data, static_cast<std::size_t>(size)});
  switch (io.kind) {
    case Io::Kind::ok:
      if (accepts_ && state_ != State::open && !accept_input({data, io.bytes})) return -1;
      return static_cast<int>(io.bytes);
    case Io::Kind::eof:
      peer_closed_ = true;
      return 0;
    case Io::Kind::again:
      return -EAGAIN;
    default:
      io_error_ = io.error;
      return -1;
  }
}

// What comes before a server's handshake is done. False: OpenSSL need not see it, as this is no TLS, or as
// the client has reset the connection, so that nobody waits for an answer. Alerts are for the log.
bool Stream::accept_input(std::string_view bytes) {
  if (!std::exchange(greeted_, true) && !may_be_tls(bytes[0])) {
    plain_ = bytes;
    return false;
  }
  if (!socket_->hangup || may_be_alert(bytes)) return true;
  io_error_ = pending_error(socket_->fd());
  return io_error_ == 0;
}

// The same where OpenSSL reads the descriptor itself.
void Stream::peek_greeting() {
  char first;
  if (!accepts_ || ::recv(socket_->fd(), &first, 1, MSG_PEEK) != 1) return;
  greeted_ = true;
  if (may_be_tls(first)) return;
  plain_.resize(kMostPlain);
  plain_.resize(socket_->raw_read(plain_).bytes);
}

bool Stream::flush(net::Socket& socket) {
  waits_ = Wait::none;
  const std::uint64_t before = socket.bytes_written;
  while (out_sent_ < out_.size()) {
    const iovec piece{out_.data() + out_sent_, out_.size() - out_sent_};
    const Io io = socket.raw_write({&piece, 1});
    if (io.kind == Io::Kind::failed) {
      io_error_ = io.error;
      broken_ = true;
    }
    if (!io.ok()) break;
    out_sent_ += io.bytes;
  }
  socket.bytes_written = before;  // what counts are the plain bytes
  if (out_sent_ < out_.size()) return false;
  all_sent();
  return true;
}

void Stream::all_sent() {
  waits_ = Wait::none;
  out_sent_ = 0;
  if (!out_.empty()) std::vector<char>().swap(out_);
}

// ---- records that wait for company

// The tickets of a server: a client that has sent its request with the end of the handshake, as most do in
// TLS 1.3, gets them with the response.
bool Stream::may_wait() const {
  return accepts_ && !kernel_bio_ && !broken_ && state_ == State::handshake && !out_.empty() &&
         out_.size() <= kMostWaiting && SSL_version(ssl()) == TLS1_3_VERSION;
}

// For the next write, for a read that finds nothing, or until those who are ready have had two turns, the one
// who reads and the one who answers, whatever they wait for then.
void Stream::wait() {
  waits_ = SSL_has_pending(ssl()) != 0 ? Wait::for_write : Wait::for_read;
  if (first_waiting == nullptr) {
    fiber::spawn_later([](void*) { fiber::spawn_later(send_waiting, nullptr); }, nullptr);
  }
  next_waiting_ = first_waiting;
  if (next_waiting_ != nullptr) next_waiting_->listed_ = &next_waiting_;
  listed_ = &first_waiting;
  first_waiting = this;
}

void Stream::unlist() {
  if (listed_ == nullptr) return;
  *listed_ = next_waiting_;
  if (next_waiting_ != nullptr) next_waiting_->listed_ = listed_;
  listed_ = nullptr;
}

void Stream::send_waiting(void*) {
  while (first_waiting != nullptr) {
    Stream& stream = *first_waiting;
    stream.unlist();
    if (stream.has_waiting()) stream.flush(*stream.socket_);
  }
}

}  // namespace mp::tls
