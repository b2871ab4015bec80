// Connections that become ready together: they are read from before the first is served, and small whole
// responses of theirs leave together.
#include <algorithm>
#include <array>
#include <cerrno>
#include <new>

#include "http/core_conf.hpp"
#include "http/ssl_connection.hpp"
#include "proto/h1/connection.hpp"
#include "proto/h1/outbox.hpp"

namespace mp::proto {
namespace {

// Connections that are read from together, each of which has an input buffer then, and what they may have of
// TLS's records, all of them.
constexpr std::size_t kTogether = 32;
constexpr std::size_t kRecords = 64 * 1024;

}  // namespace

// Serves who comes next. Several are read from before the first of them is served: the kernel's code for
// reading, OpenSSL's, and this server's for everything else do not displace each other from the caches with
// every request then.
void H1Connection::take_turn(void* worker) {
  Turns& turns = static_cast<Worker*>(worker)->turns();
  if (turns.next == turns.read_ahead) read_together(*static_cast<Worker*>(worker));
  H1Connection& connection = *turns.waiting[turns.next++];
  if (turns.next == turns.waiting.size()) {
    turns.waiting.clear();
    turns.next = turns.read_ahead = 0;
  }
  connection.run();
}

// All that the kernel is asked for comes before the first record is opened.
void H1Connection::read_together(Worker& worker) {
  Turns& turns = worker.turns();
  turns.read_ahead = std::min(turns.next + kTogether, turns.waiting.size());
  const std::span<H1Connection* const> group(turns.waiting.begin() + turns.next,
                                             turns.waiting.begin() + turns.read_ahead);
  const std::span<char> scratch = worker.scratch(kRecords);
  std::array<Fetched, kTogether> fetched;
  std::size_t count = 0;
  std::span<char> free = scratch;
  for (H1Connection* c : group) {
    const std::size_t size = c->fetch(free).size();
    if (size == 0) continue;
    fetched[count++] = {c, size};
    free = free.subspan(size);
  }
  if (count > 0) open_records(std::span(fetched).first(count), scratch.data());
}

[[gnu::noinline]] void H1Connection::open_records(std::span<const Fetched> fetched, const char* records) {
  for (const Fetched& f : fetched) {
    H1Connection& c = *f.connection;
    const net::Io io = c.ssl->stream().open_records(c.socket, {records, f.size}, c.input.room());
    if (io.ok()) c.input.filled(io.bytes);
    records += f.size;
  }
}

// What a connection that was idle has sent: plain bytes to where they are wanted, records into `place`. A
// client that leaves, an error, and what comes before the first request or before the end of a handshake are
// left for its turn.
std::string_view H1Connection::fetch(std::span<char> place) {
  if (!kept_alive_ || !socket.readable || socket.hangup) return {};
  try {
    input.reserve(1024);
  } catch (const std::bad_alloc&) {
    return {};
  }
  if (ssl != nullptr) return ssl->stream().fetch_records(socket, place);
  const net::Io io = socket.try_read(input.room());
  if (io.ok()) input.filled(io.bytes);
  return {};
}

// ---- responses that are sent together

bool H1Connection::post(std::string_view response) {
  Outbox& box = worker_.outbox();
  const bool others = fiber::here()->others_ready() || !box.empty();
  if (!others || response.size() > Outbox::kLargest || !socket.writable || socket.hangup || !input.empty() ||
      worker_.shutting_down()) {
    return false;
  }
  box.post(*this, response);
  posted_ = Posted::all;
  socket.bytes_written += response.size();
  return true;
}

void H1Connection::send_what_is_posted() {
  if (posted_ == Posted::all) worker_.outbox().send_all();
}

tls::Stream::Sealed H1Connection::seal(std::string_view response, std::span<char> room) {
  return ssl != nullptr ? ssl->stream().seal(socket, response, room) : tls::Stream::Sealed{};
}

void H1Connection::send_posted(std::string_view response, const tls::Stream::Sealed& sealed) {
  posted_ = Posted::nothing;
  socket.bytes_written -= response.size();  // it was counted when it was posted
  const iovec piece{const_cast<char*>(response.data()), response.size()};
  const net::Io io = sealed.plain > 0 ? ssl->stream().send(socket, sealed) : socket.try_write({&piece, 1});
  if (io.bytes != response.size()) [[unlikely]]
    send_failed(response, io);
}

// Not all of a posted response was taken.
void H1Connection::send_failed(std::string_view response, const net::Io& io) {
  if (io.kind == net::Io::Kind::failed) {
    log::info(logger, log::Errno{io.error}, "writev() failed");
    socket.hangup = socket.readable = true;  // the next read tells
  } else {
    worker_.outbox().keep(*this, response.substr(io.bytes));
    posted_ = Posted::rest;
  }
  if (!running_) input_ready();
}

// What the kernel did not take at once. Parks.
H1Connection::After H1Connection::send_rest() {
  const std::string rest = worker_.outbox().take_kept(*this);
  posted_ = Posted::nothing;
  const auto& core = first_server().sets.get<http::CoreLocation>();
  const net::Io io = socket.write(rest, static_cast<fiber::Msec>(core.send_timeout.get()));
  if (io.ok()) return input.empty() ? look_for_input() : After::next_request;
  const bool late = io.kind == net::Io::Kind::timeout;
  log::info(logger, log::Errno{late ? ETIMEDOUT : io.error}, "{}",
            late ? "client timed out" : "writev() failed");
  return After::close;
}

}  // namespace mp::proto
