// Socket: a connected stream socket whose calls park the fiber instead of blocking. Owns its descriptor.
//
// At most one fiber reads and one writes at a time (they may be different fibers). TLS, when present, is a
// Layer between these calls and the descriptor; everything above is the same for both.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include <sys/socket.h>
#include <sys/uio.h>

#include "base/result.hpp"
#include "fiber/scheduler.hpp"
#include "net/io.hpp"

namespace mp::net {

using fiber::Msec;

class Socket;

// What may sit between a Socket and its descriptor (TLS). Calls never park; `again` leaves the socket's
// readable/writable flags telling what to wait for.
class Layer {
 public:
  virtual ~Layer() = default;
  virtual Io try_read(Socket& socket, std::span<char> into) = 0;
  virtual Io try_write(Socket& socket, std::span<const iovec> pieces) = 0;
  virtual Io try_sendfile(Socket& socket, int file, off_t offset, std::size_t size) = 0;
  // Whether there are bytes for a reader, which are not taken: ok, eof, again or failed.
  virtual Io peek(Socket&) { return Io::again(); }
  virtual bool has_buffered_input() const = 0;  // bytes already decrypted, which epoll knows nothing of
  virtual void shutdown(Socket& socket) = 0;    // says goodbye (close_notify) if that needs no waiting
};

class Socket : public fiber::Watch {
 public:
  Socket() = default;
  ~Socket() { close(); }

  // Takes ownership of a non-blocking descriptor and registers it. On failure the descriptor is closed.
  Status adopt(int fd);
  // A socket without a descriptor: `layer` moves all bytes, and tells by readable, writable and the tickets
  // what epoll would.
  void adopt_layer(std::unique_ptr<Layer> layer);
  bool is_open() const { return fd() >= 0 || (layer_ != nullptr && !has_descriptor_); }

  // Connects to `address`; the descriptor is set non-blocking. `bind_to` may be null. Parks.
  Status connect(const sockaddr* address, socklen_t size, const sockaddr* bind_to, socklen_t bind_size,
                 Msec deadline);

  // Never park.
  Io try_read(std::span<char> into);
  Io try_write(std::span<const iovec> pieces);
  Io try_write(std::string_view bytes);
  Io try_sendfile(int file, off_t offset, std::size_t size);

  // ok when there are bytes to read; eof, again and failed as a read would say. Takes nothing.
  Io peek();

  // At least one byte, end of stream, or why not. Throws Cancelled.
  Io read(std::span<char> into, Msec deadline);
  // Exactly into.size() bytes unless the outcome is not ok; `bytes` says how many came.
  Io read_all(std::span<char> into, Msec deadline);
  // Everything, or why not. `timeout` bounds the wait between two successful writes (send_timeout).
  Io write(std::span<iovec> pieces, Msec timeout);
  Io write(std::string_view bytes, Msec timeout);
  // `size` bytes of a regular file from `offset`. A file that has shrunk gives eof.
  Io sendfile(int file, off_t offset, std::size_t size, Msec timeout);

  // Parks until readable/writable or the deadline; false on timeout; throws Cancelled.
  bool wait_readable(Msec deadline);
  bool wait_writable(Msec deadline);

  bool has_input() const { return readable || (layer_ != nullptr && layer_->has_buffered_input()); }

  // True when the peer is known to have closed and nothing remains to be read (a probe by MSG_PEEK).
  bool peer_gone();

  void shutdown_write();
  void reset_on_close();  // the close sends RST (SO_LINGER 0): reset_timedout_connection
  void close();

  // Set before a write that another write follows at once: the kernel may fill the frame (MSG_MORE). Cleared
  // by it.
  bool more_follows = false;

  void set_layer(std::unique_ptr<Layer> layer) { layer_ = std::move(layer); }
  Layer* layer() const { return layer_.get(); }
  void set_nodelay();
  // Holds back partial frames until release (TCP_CORK), so that a head and a sendfile leave together.
  void cork(bool on);

  std::uint64_t bytes_read = 0;
  std::uint64_t bytes_written = 0;

  // The descriptor's own calls, below any layer; used by layers.
  Io raw_read(std::span<char> into);
  Io raw_write(std::span<const iovec> pieces);
  Io raw_sendfile(int file, off_t offset, std::size_t size);

 private:
  std::unique_ptr<Layer> layer_;
  bool has_descriptor_ = true;
  bool nodelay_ = false;
};

// Waits until `a` can be read, or `b` can be read; either may be null. False on timeout. Throws Cancelled.
struct WaitFor {
  Socket* socket;
  bool read;
};
bool wait_any(std::span<const WaitFor> what, Msec deadline);

}  // namespace mp::net
