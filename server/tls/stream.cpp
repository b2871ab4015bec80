#include "tls/stream.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <openssl/err.h>

#include "base/log.hpp"
#include "fiber/scheduler.hpp"
#include "tls/error.hpp"

namespace mp::tls {
namespace {

using net::Io;

constexpr std::size_t kMostAtOnce = 64 * 1024;    // plain bytes encrypted in one call
constexpr std::size_t kSmallRecord = 1300;        // fits a packet
constexpr std::uint32_t kSmallUntil = 16 * 1024;  // bytes of a burst in small records
constexpr net::Msec kBurstGap = 1000;             // silence after which a new burst begins

// Mostly there is nothing to clear, which takes OpenSSL six times as long as to see that.
void clear_errors() {
  if (ERR_peek_error() != 0) ERR_clear_error();
}

int stream_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

// Room for one call: nothing in it outlives the call, and no call that uses it parks.
constexpr std::size_t kSealed = Stream::kLargestRecord + 4 * 1024;  // a record, with padding and what it adds
static_assert(Stream::kScratch >=
              Stream::kMostWaiting + kMostAtOnce - Stream::kLargestRecord + 3 * 256 + kSealed);
struct Scratch {
  char records[Stream::kScratch];
  char joined[Stream::kLargestRecord];
};
Scratch& scratch() {
  thread_local std::unique_ptr<Scratch> memory(new Scratch);
  return *memory;
}

}  // namespace

void prepare_context(SSL_CTX* context) {
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                   SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_SINGLE_DH_USE |
                                   SSL_OP_SINGLE_ECDH_USE | SSL_OP_NO_ANTI_REPLAY);
  SSL_CTX_set_read_ahead(context, 1);
}

// ---- life

std::unique_ptr<Stream> Stream::make(SSL_CTX* context) {
  SslPtr ssl(SSL_new(context));
  if (ssl == nullptr) return nullptr;
  std::unique_ptr<Stream> stream(new Stream(std::move(ssl)));
  SSL_set_ex_data(stream->ssl(), stream_index(), stream.get());
  stream->session_context = context;
  return stream;
}

std::unique_ptr<Stream> Stream::accept(SSL_CTX* context) {
  auto stream = make(context);
  if (stream == nullptr) return nullptr;
  SSL_set_accept_state(stream->ssl());
  stream->accepts_ = true;
  stream->early_allowed_ = SSL_CTX_get_max_early_data(context) > 0;
  if (stream->early_allowed_) stream->state_ = State::early;
  return stream;
}

std::unique_ptr<Stream> Stream::connect(SSL_CTX* context) {
  auto stream = make(context);
  if (stream != nullptr) SSL_set_connect_state(stream->ssl());
  return stream;
}

Stream::~Stream() {
  unlist();
}

Stream* Stream::of(const SSL* ssl) {
  return static_cast<Stream*>(SSL_get_ex_data(ssl, stream_index()));
}

// ---- handshake

Stream::Outcome Stream::step() {
  clear_errors();
  errno = 0;
  int rc;
  if (state_ == State::early && !has_early_byte_) {
    std::size_t got = 0;
    const int early = SSL_read_early_data(ssl(), &early_byte_, 1, &got);
    if (early == SSL_READ_EARLY_DATA_SUCCESS) {
      has_early_byte_ = true;
      return Outcome::done;
    }
    if (early == SSL_READ_EARLY_DATA_FINISH) {
      state_ = State::handshake;
      return step();
    }
    rc = -1;
  } else {
    rc = SSL_do_handshake(ssl());
    if (rc == 1) return Outcome::done;
  }
  ssl_error = SSL_get_error(ssl(), rc);
  if (ssl_error == SSL_ERROR_SYSCALL && io_error_ == 0 && kernel_bio_) io_error_ = errno;
  error = ssl_error == SSL_ERROR_SYSCALL ? io_error_ : 0;
  if (ssl_error == SSL_ERROR_ZERO_RETURN || ERR_peek_error() == 0) return Outcome::closed;
  return Outcome::failed;
}

Stream::Outcome Stream::handshake(net::Socket& socket, net::Msec deadline) {
  socket_ = &socket;
  const std::uint64_t read_before = socket.bytes_read;
  if (SSL_get_rbio(ssl()) == nullptr) {
    kernel_bio_ = (SSL_get_options(ssl()) & SSL_OP_ENABLE_KTLS) != 0;
    if (kernel_bio_) {
      SSL_set_fd(ssl(), socket.fd());
    } else {
      use_own_bio();
    }
  }
  Outcome outcome;
  for (;;) {
    if (kernel_bio_ && !greeted_) peek_greeting();
    outcome = plain_.empty() ? step() : Outcome::failed;
    socket_ = &socket;
    if (cancelled_) {
      broken_ = true;
      std::rethrow_exception(std::exchange(cancelled_, nullptr));
    }
    if (outcome == Outcome::done && may_wait()) wait();
    while (!has_waiting() && !broken_ && !flush(socket)) {
      if (broken_) break;
      if (!socket.wait_writable(deadline)) return Outcome::timeout;
    }
    if (outcome == Outcome::done) break;
    if (!plain_.empty()) {
      broken_ = true;
      return Outcome::failed;
    }
    if (broken_ && ssl_error != SSL_ERROR_SSL) {
      error = io_error_;
      return Outcome::closed;
    }
    if (ssl_error == SSL_ERROR_WANT_READ) {
      if (kernel_bio_) socket.readable = false;
      if (!socket.wait_readable(deadline)) return Outcome::timeout;
      continue;
    }
    if (ssl_error == SSL_ERROR_WANT_WRITE && kernel_bio_) {
      socket.writable = false;
      if (!socket.wait_writable(deadline)) return Outcome::timeout;
      continue;
    }
    broken_ = true;
    return outcome;
  }
  if (state_ == State::handshake) state_ = State::open;
  drained_ = !has_early_byte_ && SSL_has_pending(ssl()) == 0;
  socket.bytes_read = read_before;
  if (kernel_bio_) {
    kernel_encrypts_ = BIO_get_ktls_send(SSL_get_wbio(ssl())) != 0;
    if (!kernel_encrypts_ && BIO_get_ktls_recv(SSL_get_rbio(ssl())) == 0 && state_ == State::open) {
      kernel_bio_ = false;
      use_own_bio();
    }
  }
  log::debug(logger, "SSL: {}, cipher: \"{}\"", SSL_get_version(ssl()), SSL_get_cipher_name(ssl()));
  return Outcome::done;
}

std::string_view Stream::protocol() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

// ---- reading

Io Stream::failure(int rc) {
  // What is queued is the call's own only where OpenSSL has given the connection up; others have left it
  // there otherwise.
  const bool given_up = SSL_in_init(ssl()) != 0 && SSL_want_nothing(ssl());
  if (!given_up) clear_errors();
  const int why = SSL_get_error(ssl(), rc);
  if (why == SSL_ERROR_WANT_READ) {
    drained_ = true;
    if (kernel_bio_) socket_->readable = false;
    return Io::again();
  }
  if (why == SSL_ERROR_ZERO_RETURN) {
    peer_finished_ = true;
    return Io::eof();
  }
  ssl_error = why;
  broken_ = true;
  // The queue is this thread's: a handshake that goes on after a callback has waited would take this for its
  // own.
  const bool explained = ERR_peek_error() != 0;
  clear_errors();
  if (why == SSL_ERROR_SYSCALL) {
    error = io_error_;
    if (error == 0 && !explained) return Io::eof();
    return Io::failed(error != 0 ? error : ECONNRESET);
  }
  error = EPROTO;
  return Io::failed(EPROTO);
}

Io Stream::early_read(std::span<char> into, bool& finished) {
  finished = false;
  if (has_early_byte_ && !into.empty()) {
    has_early_byte_ = false;
    into[0] = early_byte_;
    return Io::moved(1);
  }
  clear_errors();
  std::size_t got = 0;
  const int rc = SSL_read_early_data(ssl(), into.data(), into.size(), &got);
  if (rc == SSL_READ_EARLY_DATA_SUCCESS && got > 0) return Io::moved(got);
  if (rc != SSL_READ_EARLY_DATA_ERROR) {
    state_ = State::open;
    finished = true;
    return Io::again();
  }
  return failure(-1);
}

Io Stream::try_read(net::Socket& socket, std::span<char> into) {
  if (broken_) return Io::failed(error != 0 ? error : ECONNRESET);
  socket_ = &socket;
  const std::uint64_t before = socket.bytes_read;
  drained_ = false;
  io_error_ = 0;
  if (waits_ == Wait::for_read) {
    socket.readable = true;  // it may have come meanwhile
    waits_ = Wait::for_write;
  }
  Io io = Io::again();
  bool read_on = true;
  if (state_ == State::early) io = early_read(into, read_on);
  // More than one record may have come with one read of the descriptor.
  while (read_on && io.bytes < into.size()) {
    std::size_t got = 0;
    const int rc = SSL_read_ex(ssl(), into.data() + io.bytes, into.size() - io.bytes, &got);
    if (rc != 1) {
      const Io why = failure(rc);
      if (io.bytes == 0) io = why;
      break;
    }
    io = Io::moved(io.bytes + got);
    drained_ = fetched_.empty() && SSL_has_pending(ssl()) == 0;
    if (drained_) break;
  }
  const bool wait_on = has_waiting() && io.bytes > 0;
  if (!wait_on && !out_.empty() && !flush(socket) && broken_) io = Io::failed(io_error_);
  socket.bytes_read = before + io.bytes;
  if (io.kind == Io::Kind::failed && error == EPROTO) broken_ = true;
  return io;
}

std::string_view Stream::fetch_records(net::Socket& socket, std::span<char> place) {
  // A whole read is less than its buffer: OpenSSL takes it at once where it has no part of a record yet.
  if (!settled() || kernel_bio_ || SSL_has_pending(ssl()) != 0) return {};
  const std::uint64_t before = socket.bytes_read;
  const Io io = socket.raw_read(place.first(std::min(place.size(), kLargestRecord)));
  socket.bytes_read = before;
  return {place.data(), io.bytes};
}

Io Stream::open_records(net::Socket& socket, std::string_view records, std::span<char> into) {
  fetched_ = records;
  const Io io = try_read(socket, into);
  fetched_ = {};
  return io;
}

Io Stream::peek(net::Socket& socket) {
  if (broken_) return Io::failed(error != 0 ? error : ECONNRESET);
  if (has_early_byte_) return Io::moved(1);
  if (state_ == State::early) return Io::again();
  socket_ = &socket;
  const std::uint64_t before = socket.bytes_read;
  drained_ = false;
  io_error_ = 0;
  socket.readable = true;  // the descriptor is asked, whatever is known of it
  char byte;
  std::size_t got = 0;
  const int rc = SSL_peek_ex(ssl(), &byte, 1, &got);
  const Io io = rc == 1 ? Io::moved(1) : failure(rc);
  if (!out_.empty()) flush(socket);
  socket.bytes_read = before;
  return io;
}

bool Stream::has_buffered_input() const {
  return (!drained_ || waits_ == Wait::for_read) && !broken_;
}

// ---- writing

// How long the next record may be.
std::size_t Stream::next_record() {
  const std::size_t large = record_size_;
  if (burst_ >= kSmallUntil) return large;
  return std::min(large, kSmallRecord);
}

// Plain bytes taken, or what SSL_write says.
int Stream::encrypt(const char* data, std::size_t size) {
  std::size_t written = 0;
  int rc;
  if (early_allowed_ && SSL_is_init_finished(ssl()) == 0) {
    rc = SSL_write_early_data(ssl(), data, size, &written);
  } else {
    rc = SSL_write_ex(ssl(), data, size, &written);
  }
  return rc == 1 ? static_cast<int>(written) : rc;
}

// Pieces are joined into records; a piece that fills one is not copied.
Stream::Sealed Stream::seal_pieces(std::span<const iovec> pieces, std::span<char> room, int& rc) {
  peer_finished_ = false;
  if (last_write_ + kBurstGap < fiber::now()) burst_ = 0;
  last_write_ = fiber::now();
  io_error_ = 0;
  room_ = room;
  room_used_ = 0;
  char* const joined = scratch().joined;
  std::size_t taken = 0;
  std::size_t piece = 0;
  std::size_t offset = 0;
  while (piece < pieces.size() && taken < kMostAtOnce && room_used_ + kSealed <= room.size()) {
    const std::size_t limit = std::min({next_record(), kMostAtOnce - taken, sizeof scratch().joined});
    const char* data = static_cast<const char*>(pieces[piece].iov_base) + offset;
    std::size_t size = std::min(limit, pieces[piece].iov_len - offset);
    if (size < limit && piece + 1 < pieces.size()) {
      size = 0;
      std::size_t p = piece;
      std::size_t at = offset;
      while (p < pieces.size() && size < limit) {
        const std::size_t n = std::min(limit - size, pieces[p].iov_len - at);
        std::memcpy(joined + size, static_cast<const char*>(pieces[p].iov_base) + at, n);
        size += n;
        at += n;
        if (at == pieces[p].iov_len) {
          ++p;
          at = 0;
        }
      }
      data = joined;
    }
    if (size == 0) break;
    rc = encrypt(data, size);
    if (rc <= 0) break;
    taken += static_cast<std::size_t>(rc);
    burst_ = std::min<std::uint32_t>(burst_ + static_cast<std::uint32_t>(rc), kSmallUntil);
    for (std::size_t left = static_cast<std::size_t>(rc); left > 0;) {
      const std::size_t n = std::min(left, pieces[piece].iov_len - offset);
      left -= n;
      offset += n;
      if (offset == pieces[piece].iov_len) {
        ++piece;
        offset = 0;
      }
    }
    while (piece < pieces.size() && pieces[piece].iov_len == 0) ++piece;
  }
  const bool at_end = ends_ && rc > 0 && piece == pieces.size();
  if (at_end && may_say_goodbye() && !kernel_bio_ && room_used_ + kSealed <= room.size()) write_goodbye();
  room_ = {};
  return {{room.data(), std::exchange(room_used_, 0)}, taken};
}

Stream::Sealed Stream::seal(net::Socket& socket, std::string_view plain, std::span<char> room) {
  if (broken_ || kernel_bio_ || !out_.empty() || owed_ > 0) return {};
  socket_ = &socket;
  const iovec piece{const_cast<char*>(plain.data()), plain.size()};
  int rc = 1;
  return seal_pieces({&piece, 1}, room, rc);
}

Io Stream::send(net::Socket& socket, const Sealed& sealed) {
  const std::uint64_t before = socket.bytes_written;
  const iovec records{const_cast<char*>(sealed.records.data()), sealed.records.size()};
  const Io io = socket.raw_write({&records, 1});
  socket.bytes_written = before;
  if (io.kind == Io::Kind::failed) {
    broken_ = true;
    error = io.error;
    return io;
  }
  if (io.bytes < sealed.records.size()) {
    out_.assign(sealed.records.begin() + io.bytes, sealed.records.end());
    out_sent_ = 0;
    owed_ = sealed.plain;
    socket.writable = false;
    return Io::again();
  }
  socket.bytes_written = before + sealed.plain;
  return Io::moved(sealed.plain);
}

Io Stream::try_write(net::Socket& socket, std::span<const iovec> pieces) {
  if (broken_) return Io::failed(error != 0 ? error : EPIPE);
  if (kernel_encrypts_) return socket.raw_write(pieces);
  socket_ = &socket;
  std::span<char> room = scratch().records;
  const std::size_t waited = has_waiting() && out_.size() <= kMostWaiting ? out_.size() : 0;
  if (waited == 0 && !flush(socket)) return broken_ ? Io::failed(io_error_) : Io::again();
  const std::size_t done_before = std::exchange(owed_, 0);
  if (done_before > 0) {
    socket.bytes_written += done_before;
    return Io::moved(done_before);
  }
  int rc = 1;
  Sealed sealed = seal_pieces(pieces, room.subspan(waited), rc);
  if (rc <= 0 && sealed.plain == 0 && sealed.records.empty()) {
    const Io io = failure(rc);
    if (io.kind == Io::Kind::again) socket.writable = false;  // the peer's messages must be read first
    return io.kind == Io::Kind::eof ? Io::failed(EPIPE) : io;
  }
  if (waited > 0) {
    std::memcpy(room.data(), out_.data(), waited);
    sealed.records = {room.data(), waited + sealed.records.size()};
    all_sent();
  }
  return send(socket, sealed);
}

Io Stream::try_sendfile(net::Socket& socket, int file, off_t offset, std::size_t size) {
  if (kernel_encrypts_) return socket.raw_sendfile(file, offset, size);
  return Io::failed(ENOTSUP);  // to read a file may take time: that is for the caller
}

// ---- end

bool Stream::may_say_goodbye() const {
  return !broken_ && !goodbye_said_ && SSL_in_init(ssl()) == 0;
}

void Stream::write_goodbye() {
  goodbye_said_ = true;
  clear_errors();
  SSL_shutdown(ssl());
  clear_errors();
}

void Stream::shutdown(net::Socket& socket) {
  if (!may_say_goodbye()) return;
  // A peer whose end was read after all that it was to get, and who has closed, listens no more. That we are
  // through as well is what OpenSSL must know, or it forgets the session.
  if (peer_finished_ && (peer_closed_ || socket.hangup)) {
    goodbye_said_ = true;
    return SSL_set_shutdown(ssl(), SSL_get_shutdown(ssl()) | SSL_SENT_SHUTDOWN);
  }
  socket_ = &socket;
  write_goodbye();
  flush(socket);
}

}  // namespace mp::tls
