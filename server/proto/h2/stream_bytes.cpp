// The stream as a socket: for tunnels (WebSocket by an extended CONNECT), and for whoever waits for the body
// as if it came from a descriptor.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "fiber/scheduler.hpp"
#include "proto/h2/stream.hpp"

namespace mp::proto {

class H2Stream::Bytes final : public net::Layer {
 public:
  explicit Bytes(H2Stream& stream) : s_(stream) {}

  net::Io try_read(net::Socket& socket, std::span<char> into) override {
    if (!s_.input_.empty()) {
      const std::size_t n = std::min(into.size(), s_.input_.size());
      std::memcpy(into.data(), s_.input_.bytes().data(), n);
      s_.input_.consume(n);
      if (s_.input_.empty()) s_.input_.release();
      socket.bytes_read += n;
      s_.consumed(n);
      return net::Io::moved(n);
    }
    if (s_.failed_) return net::Io::failed(ECONNRESET);
    if (s_.input_ended_) return net::Io::eof();
    socket.readable = false;
    return net::Io::again();
  }

  net::Io try_write(net::Socket& socket, std::span<const iovec> pieces) override {
    if (s_.failed_ || s_.ending_ || s_.output_lost()) return net::Io::failed(EPIPE);
    std::size_t moved = 0;
    for (const iovec& piece : pieces) {
      const std::size_t room = kRoom - std::min(kRoom, s_.held_.size());
      const std::size_t n = std::min(room, piece.iov_len);
      s_.held_.append({static_cast<const char*>(piece.iov_base), n});
      moved += n;
      if (n < piece.iov_len) break;
    }
    socket.writable = s_.held_.size() < kRoom;
    if (moved == 0) return net::Io::again();
    socket.bytes_written += moved;
    s_.resume();
    return net::Io::moved(moved);
  }

  net::Io try_sendfile(net::Socket&, int, off_t, std::size_t) override { return net::Io::failed(ENOTSUP); }
  net::Io peek(net::Socket&) override {
    if (!s_.input_.empty()) return net::Io::moved(1);
    return s_.input_ended_ ? net::Io::eof() : net::Io::again();
  }
  bool has_buffered_input() const override { return !s_.input_.empty() || s_.input_ended_; }
  void shutdown(net::Socket&) override {
    if (!s_.taken_over_ || s_.ending_) return;
    s_.ending_ = true;
    s_.resume();
  }

  static constexpr std::size_t kRoom = 64 * 1024;

 private:
  H2Stream& s_;
};

void H2Stream::offer_bytes() {
  if (socket.is_open()) return;
  socket.adopt_layer(std::make_unique<Bytes>(*this));
  socket.readable = !input_.empty() || input_ended_;
}

// Only what was made for it becomes a tunnel: the bytes of any other stream are those of a request.
bool H2Stream::take_over(http::Request&, std::string_view& read_ahead) {
  if (!upgrade_ || !head_sent_ || failed_) return false;
  taken_over_ = true;
  read_ahead = {};
  offer_bytes();
  return true;
}

// There is room again for what a tunnel writes.
void H2Stream::tell_writer() {
  if (!taken_over_ || socket.writable || held_.size() > Bytes::kRoom / 2) return;
  socket.writable = true;
  fiber::wake(std::exchange(socket.writer, {}));
}

}  // namespace mp::proto
