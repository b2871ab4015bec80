// TcpSocket: what a script holds as a stream socket (cosocket): a connection to an upstream, the body of its
// request, or the raw connection of its client. It works for one request; when that ends it is closed,
// whether the script still holds it or not. Lives in a userdata of the Vm or, as most do, in the worker's
// SocketSlots until its request ends: the script's object has a number for it then.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "http/request.hpp"
#include "lua/runtime.hpp"
#include "lua/socket/input.hpp"
#include "lua/socket/owned.hpp"
#include "lua/socket/pool.hpp"
#include "lua/socket/until.hpp"
#include "net/address.hpp"
#include "net/socket.hpp"

namespace mp::lua {

enum class ReadMode : std::uint8_t { line, all, chunk, any, until };

class TcpSocket final : public OwnedSocket {
 public:
  enum class Kind : std::uint8_t { upstream, body, raw };

  explicit TcpSocket(Kind what, std::uint64_t number = 0) : kind(what), handle(number) {}
  ~TcpSocket() override;

  const Kind kind;
  const std::uint64_t handle;  // in SocketSlots; 0: it is not there
  std::unique_ptr<Link> link;
  std::shared_ptr<Pool> pool;  // in whose connections this one is counted
  std::string key;             // of the pool for setkeepalive; not kept while `pool` is there
  std::optional<net::Address> bind_to;
  bool used = false;  // it was connected at least once
  // For the next TLS handshake; borrowed from objects that the script's socket keeps.
  void* client_chain = nullptr;
  void* client_key = nullptr;
  void* trusted_store = nullptr;

  // Milliseconds as the script has set them; 0: the directive's.
  fiber::Msec connect_timeout = 0;
  fiber::Msec send_timeout = 0;
  fiber::Msec read_timeout = 0;

  bool connecting = false;
  bool resolving = false;  // the first part of it, when there is no connection yet
  bool reading = false;
  bool writing = false;
  bool read_closed = false;
  bool write_closed = false;
  bool eof = false;
  Input input;

  // How long to wait for input.
  fiber::Msec read_wait() const;

  // The connection; null when there is none.
  net::Socket* stream() const;
  bool readable_state() const { return stream() != nullptr && !read_closed; }
  bool writable_state() const { return stream() != nullptr && !write_closed; }

  // Ends the connection, and gives up its place in the pool.
  void close() override;
  void leave_pool();

  // More bytes into `input`; `wanted` is a hint. Parks.
  net::Io fetch(std::size_t wanted);
  // The same without waiting.
  net::Io try_fetch(std::size_t wanted);

  // Takes a result out of `input` where it is complete: a view that is good until the next fetch.
  bool take(ReadMode mode, std::size_t size, std::string_view& result);

  // One that has worked for a request which has ended.
  void end() { used = true, mark_ended(); }

 private:
  void let_go() override;

  std::size_t scanned_ = 0;  // bytes of `input` known to hold no line feed
};

// What the input holds of a line, without its carriage returns: compacted where it lies.
std::string_view without_returns(char* data, std::size_t size);

}  // namespace mp::lua
