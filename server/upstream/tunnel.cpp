// A tunnel: after 101, bytes go both ways as they are, until one side closes or nothing moves for too long.
#include <cerrno>

#include "http/core_conf.hpp"
#include "upstream/transfer.hpp"

namespace mp::upstream {
namespace {

// One direction: what was read from one side and waits for the other.
struct Flow {
  net::Socket& from;
  net::Socket& to;
  char* buffer;
  std::size_t room;
  std::string_view waiting = {};
  std::uint64_t moved = 0;

  enum class Result : std::uint8_t { idle, moved, ended };

  Result run() {
    bool any = false;
    for (;;) {
      if (waiting.empty()) {
        const net::Io io = from.has_input() ? from.try_read({buffer, room}) : net::Io::again();
        if (io.kind == net::Io::Kind::again) return any ? Result::moved : Result::idle;
        if (!io.ok()) return Result::ended;
        waiting = {buffer, io.bytes};
        any = true;
      }
      const net::Io io = to.try_write(waiting);
      if (io.kind == net::Io::Kind::failed) return Result::ended;
      moved += io.bytes;
      waiting.remove_prefix(io.bytes);
      if (io.bytes > 0) any = true;
      if (!waiting.empty() && !to.writable) return any ? Result::moved : Result::idle;
    }
  }
  net::WaitFor wait_for() const {
    return waiting.empty() ? net::WaitFor{&from, true} : net::WaitFor{&to, false};
  }
};

// The tunnel reads from the client and finds out by itself.
class ReadsClient final : public http::HangupListener {
 public:
  explicit ReadsClient(http::Connection& client) { listen(client); }
  void client_gone() override {}
};

}  // namespace

http::Step Transfer::tunnel() {
  std::string_view from_client;
  if (r_.is_sub()) {
    log::error(r_.logger, "connection upgrade in subrequest");
    return http::Step::finish(502);
  }
  if (!r_.exchange->flush(r_) || !r_.exchange->take_over(r_, from_client)) return http::Step::done();
  const ReadsClient reads(r_.connection);
  r_.connection.doing = " while proxying upgraded connection";
  net::Socket& client = r_.connection.socket;
  if (r_.conf<http::CoreLocation>().tcp_nodelay) client.set_nodelay();

  const std::size_t room = conf_.buffer_size;
  Flow up{client, *link_, r_.arena.bytes(room), room, r_.arena.copy(from_client)};
  Flow down{*link_, client, r_.arena.bytes(room), room, {buffer_ + head_size_, buffered_ - head_size_}};
  const auto timeout = static_cast<fiber::Msec>(conf_.read_timeout.get());
  fiber::Msec deadline = fiber::now() + timeout;
  int status = 0;
  for (;;) {
    const Flow::Result sent = up.run();
    const Flow::Result received = down.run();
    if (sent == Flow::Result::ended || received == Flow::Result::ended) break;
    if (sent == Flow::Result::moved || received == Flow::Result::moved) deadline = fiber::now() + timeout;
    const net::WaitFor what[] = {up.wait_for(), down.wait_for()};
    if (!net::wait_any(what, deadline)) {
      log::info(r_.logger, log::Errno{ETIMEDOUT}, "upstream timed out");
      status = 504;
      break;
    }
  }
  try_->response_length += down.moved;
  r_.main->sent += down.moved;
  r_.main->body_sent += down.moved;
  settle_try();
  drop_link();
  r_.finished = true;
  return status == 0 ? http::Step::done() : http::Step::finish(status);
}

}  // namespace mp::upstream
