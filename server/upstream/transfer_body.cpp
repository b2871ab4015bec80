// The body of the response on its way to the client.
//
// Buffered: bytes are read from the server as fast as they come, into a ring in memory and, when the client
// is slower, on into a temporary file, so that the server is free early. Each part goes to the client on a
// fiber of its own; that one runs at once and has usually ended when spawn() returns, so only a slow client
// costs anything. Unbuffered: one part after the other, as it comes, at the client's pace.
#include <algorithm>
#include <cerrno>
#include <cstdio>

#include <sys/stat.h>

#include "base/clock.hpp"
#include "base/numbers.hpp"
#include "http/core_conf.hpp"
#include "http/file_io.hpp"
#include "http/temp_file.hpp"
#include "upstream/body_pump.hpp"
#include "upstream/transfer.hpp"
#include "upstream/upstream.hpp"

namespace mp::upstream {

using http::Output;
using http::Piece;
using http::Step;

Step Transfer::deliver() {
  if (!r_.send_head()) return Step::done();
  r_.connection.doing = " while reading upstream";
  if (reply_->upgrade) [[unlikely]]
    return tunnel();
  if (r_.header_only && !conf_.store->on && !keeps_response()) [[unlikely]] {
    keep_or_close(reply_->no_body || reply_->content_length == 0);
    return Step::done();
  }
  // What came behind the head; mostly that is all.
  char* const data = buffer_ + head_size_;
  std::size_t size = 0;
  const Dialect::Body what = dialect_.decode(r_, *reply_, data, buffered_ - head_size_, size);
  const std::string_view first{data, size};
  if (what != Dialect::Body::done || conf_.store->on || cache_) [[unlikely]]
    return pump(what, first);
  try_->response_length += buffered_ - head_size_;
  keep_or_close(true);  // a server that is done with is free for others before the client has everything
  if (conf_.pass_trailers) add_trailers();
  const Piece piece = Piece::memory(first);
  r_.write(Output{size == 0 ? std::span<const Piece>() : std::span(&piece, 1), true});
  return Step::done();
}

Step Transfer::pump(Dialect::Body what, std::string_view first) {
  return BodyPump(*this).run(what, buffered_ - head_size_, first);
}

void Transfer::add_trailers() {
  for (const http::HeaderField& field : reply_->trailers) {
    if (!conf_.hidden->has(field)) r_.out.trailers.add(field);
  }
}

// The connection has served its request: back to the pool when nothing of it is left and both sides want it.
void Transfer::keep_or_close(bool complete) {
  settle_try();
  release(Release::good);
  if (sending()) return;  // the rest of the request is still on its way: see drop_link()
  LinkPtr link = std::move(link_);
  history_.ssl = nullptr;
  if (link == nullptr || link->exchange != nullptr) return;  // what a stream is part of is kept by itself
  if (upstream_ == nullptr || !upstream_->is_block) return;
  const Target& target = balancer_->target;
  const std::int64_t most =
      target.keepalive_requests > 0 ? target.keepalive_requests : upstream_->keepalive_requests.get();
  std::int64_t timeout = upstream_->keepalive_timeout;
  if (target.keepalive_timeout > 0) timeout = target.keepalive_timeout;
  if (!complete || !body_sent_ || !dialect_.keepalive()) return;
  if (link->requests >= static_cast<std::uint64_t>(most)) return;
  if (fiber::now() - link->opened > static_cast<fiber::Msec>(upstream_->keepalive_time.get())) return;
  const auto capacity = target.keepalive_capacity > 0 ? target.keepalive_capacity
                                                      : static_cast<std::size_t>(upstream_->keepalive.get());
  if (capacity > 0) {
    log::debug(r_.logger, "free keepalive peer: saving connection {:X}",
               reinterpret_cast<std::uintptr_t>(link.get()));
  }
  upstream_->pool.put(std::move(link), capacity, static_cast<fiber::Msec>(timeout));
}

// ---- BodyPump

BodyPump::BodyPump(Transfer& transfer)
    : t_(transfer), r_(transfer.r_), conf_(transfer.conf_), reply_(*transfer.reply_) {
  if (!conf_.limit_rate->empty()) {
    limit_rate_ = parse_size(conf_.limit_rate->evaluate(r_)).value_or(0);
    started_second_ = clock().seconds();
  }
}

Step BodyPump::run(Dialect::Body what, std::size_t size, std::string_view first) {
  took(what, size, first);
  if (source_ == Source::done) {
    if (!client_gone_) send(first, true);
    return end();
  }
  if (source_ == Source::failed) {
    send(first, false);
    return end();
  }
  if (t_.buffering_) {
    run_buffered(first);
  } else {
    run_unbuffered(first);
  }
  return end();
}

// Notes made of `size` bytes that came from the server, and of what they were without their framing.
void BodyPump::took(Dialect::Body what, std::size_t size, std::string_view payload) {
  if (what == Dialect::Body::done) source_ = Source::done;
  if (what == Dialect::Body::error) source_ = Source::failed;
  t_.try_->response_length += size;
  read_ += size;
  if (conf_.store->on && !payload.empty()) store(payload);
  if (t_.cache_ && !payload.empty()) t_.cache_->write(payload);
  // A server that is done with is free for others before the client has everything.
  if (source_ == Source::done) {
    body_complete();
    t_.keep_or_close(true);
  }
}

// Reads once, without waiting. False: nothing has come.
bool BodyPump::read(std::span<char> into, std::size_t& payload) {
  payload = 0;
  const net::Io io = t_.link_->try_read(into);
  switch (io.kind) {
    case net::Io::Kind::again:
      return false;
    case net::Io::Kind::ok: {
      const Dialect::Body what = t_.dialect_.decode(r_, reply_, into.data(), io.bytes, payload);
      took(what, io.bytes, {into.data(), payload});
      return true;
    }
    case net::Io::Kind::eof:
      if (t_.dialect_.complete_at_end(reply_)) {
        source_ = Source::done;
        body_complete();
        t_.keep_or_close(false);
      } else {
        t_.log_early_end();
        source_ = Source::failed;
      }
      return true;
    default:
      log::error(r_.logger, log::Errno{io.error}, "recv() failed");
      source_ = Source::failed;
      return true;
  }
}

// How much may be read now under proxy_limit_rate; waits until it is something.
std::size_t BodyPump::allowed(std::size_t wanted) {
  if (limit_rate_ == 0) return wanted;
  for (;;) {
    const std::int64_t seconds = clock().seconds() - started_second_ + 1;
    const std::int64_t left = limit_rate_ * seconds - static_cast<std::int64_t>(read_);
    if (left > 0) return std::min(wanted, static_cast<std::size_t>(left));
    fiber::sleep_for(static_cast<fiber::Msec>(-left * 1000 / limit_rate_ + 1));
  }
}

fiber::Msec BodyPump::deadline() const {
  const std::int64_t timeout = Target::either(t_.balancer_->target.read_timeout, conf_.read_timeout);
  return fiber::now() + static_cast<fiber::Msec>(timeout);
}

void BodyPump::timed_out() {
  log::error(r_.logger, log::Errno{ETIMEDOUT}, "upstream timed out");
  source_ = Source::failed;
}

bool BodyPump::send(std::span<const Piece> pieces, bool last, bool flush) {
  if (client_gone_) return false;
  if (last && conf_.pass_trailers) t_.add_trailers();
  const bool sent = r_.write(Output{pieces, last, flush});
  if (!sent) client_gone_ = true;
  return sent;
}

bool BodyPump::send(std::string_view bytes, bool last, bool flush) {
  const Piece piece = Piece::memory(bytes);
  return send(bytes.empty() ? std::span<const Piece>() : std::span(&piece, 1), last, flush);
}

// The response is as complete as it gets.
Step BodyPump::end() {
  t_.settle_try();
  if (source_ == Source::done) return Step::done();
  t_.drop_link();
  if (client_gone_) return Step::done();
  send(std::string_view(), false, true);  // what did come shall arrive
  r_.keepalive = false;
  return Step::finish(502);
}

void BodyPump::run_unbuffered(std::string_view first) {
  if (!send(first, false, true) && !wanted_anyway()) return;
  const std::size_t room = std::max<std::size_t>(conf_.buffer_size, conf_.buffers->size);
  char* const buffer = r_.arena.bytes(room);
  while (source_ == Source::open) {
    const std::size_t most = allowed(room);
    if (!t_.link_->has_input() && !t_.link_->wait_readable(deadline())) {
      timed_out();
      break;
    }
    std::size_t payload = 0;
    if (!read({buffer, most}, payload)) continue;
    const bool last = source_ == Source::done;
    if (payload == 0 && !last) continue;
    if (!send({buffer, payload}, last, true) && !wanted_anyway()) return;
  }
}

// ---- buffered

void BodyPump::run_buffered(std::string_view first) {
  const std::size_t memory = conf_.buffers->count * conf_.buffers->size;
  ring_.allocate(r_.arena, memory);
  first_ = first;
  while (source_ == Source::open) {
    if (!writer_busy_) {
      writer_done();
      if (client_gone_ && !wanted_anyway()) return;
    }
    std::span<char> room = ring_.room();
    if (client_gone_) {
      ring_.clear();
      room = ring_.room();
    }
    if (room.empty()) {
      if (!writer_busy_) {
        start_writer();
      } else if (!spill()) {
        wait_for_writer();
      }
      continue;
    }
    const std::size_t most = allowed(room.size());
    std::size_t payload = 0;
    if (t_.link_->has_input() && read(room.first(std::min(most, room.size())), payload)) {
      ring_.filled(payload);
      continue;
    }
    if (!writer_busy_ && waiting() >= conf_.buffers->size) {
      start_writer();
      continue;
    }
    // Woken by either: bytes from the server, or the writer having ended.
    const fiber::Msec until = deadline();
    if (!t_.link_->wait_readable_or(writer_ticket_, until) && fiber::now() >= until) timed_out();
  }
  while (writer_busy_) wait_for_writer();
  writer_done();
  drain();
}

std::size_t BodyPump::waiting() const {
  return first_.size() + ring_.size() + (file_.size() - file_sent_);
}

// What goes next, at most about half of the ring, so that there is room to read on meanwhile.
std::size_t BodyPump::next_pieces(Piece (&pieces)[3], bool everything) {
  std::size_t count = 0;
  if (!first_.empty()) pieces[count++] = Piece::memory(std::exchange(first_, {}));
  const std::size_t in_file = file_.size() - file_sent_;
  if (in_file > 0) {
    constexpr std::size_t kMost = 1024 * 1024;
    const std::size_t n = everything ? in_file : std::min(in_file, kMost);
    pieces[count++] = Piece::file(file_.fd(), static_cast<off_t>(file_sent_), n);
    file_sent_ += n;
    if (file_sent_ < file_.size()) return count;
    if (!everything) return count;
  }
  const std::size_t most = std::max<std::size_t>(conf_.busy_buffers_size, ring_.capacity() / 2);
  for (int part = 0; part < 2 && count < 3; ++part) {
    std::string_view bytes = ring_.front(held_);
    if (!everything) bytes = bytes.substr(0, most - held_);
    if (bytes.empty()) break;
    pieces[count++] = Piece::memory(bytes);
    held_ += bytes.size();
  }
  return count;
}

void BodyPump::start_writer() {
  const std::size_t count = next_pieces(pieces_, false);
  writer_busy_ = true;
  writer_.spawn([this, count] {
    struct Ended {
      BodyPump& pump;
      ~Ended() {
        pump.writer_busy_ = false;
        fiber::wake(pump.writer_ticket_);
      }
    } ended{*this};
    send(std::span<const Piece>(pieces_, count), false);
  });
}

void BodyPump::writer_done() {
  ring_.drop(held_);
  held_ = 0;
}

void BodyPump::wait_for_writer() {
  while (writer_busy_) {
    writer_ticket_ = fiber::ticket();
    fiber::wait();
  }
}

// Moves what the writer does not hold out of the ring into the temporary file. False when nothing was moved:
// there is nothing, the file may not grow any more, or it cannot; then the client sets the pace.
bool BodyPump::spill() {
  const std::size_t most = conf_.max_temp_file_size;
  const std::size_t amount = ring_.size() - held_;
  if (amount == 0 || file_.size() + amount > most || spill_failed_) return false;
  const std::uint64_t before = file_.size();
  Status written;
  if (file_.fd() < 0) {
    written = file_.create(conf_.temp_path.get());
    if (written)
      log::warn(r_.logger, "an upstream response is buffered to a temporary file {}", file_.path());
  }
  for (std::size_t at = held_; written && at < ring_.size();) {
    const std::string_view bytes = ring_.front(at);
    written = http::append_to(r_, file_, bytes);
    at += bytes.size();
  }
  if (!written) {
    log::crit(r_.logger, "{}", written.error().text);
    file_.take_back(before);
    spill_failed_ = true;
    return false;
  }
  ring_.truncate(held_);
  return true;
}

// The server is done: the rest goes at the client's pace.
void BodyPump::drain() {
  const bool complete = source_ == Source::done;
  do {
    const std::size_t count = next_pieces(pieces_, true);
    const bool last = complete && waiting() == held_;
    if (!send(std::span<const Piece>(pieces_, count), last)) return;
    writer_done();
    if (last) return;
  } while (waiting() > 0);
}

// ---- responses that are kept

void BodyPump::body_complete() {
  if (conf_.store->on) finish_store();
  if (t_.cache_) t_.cache_->finish(reply_.no_body ? -1 : reply_.content_length);
}

void BodyPump::store(std::string_view bytes) {
  if (stored_.fd() < 0 && !store_failed_) {
    if (const Status made = stored_.create(conf_.temp_path.get()); !made) {
      log::crit(r_.logger, "{}", made.error().text);
      store_failed_ = true;
    }
  }
  if (store_failed_) return;
  if (const Status written = http::append_to(r_, stored_, bytes); !written) {
    log::crit(r_.logger, "{}", written.error().text);
    store_failed_ = true;
  }
}

}  // namespace mp::upstream
