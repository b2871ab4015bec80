// BodyPump: moves the body of a response from an upstream server to the client: see transfer_body.cpp. Lives
// on the stack of the request's fiber, for as long as that takes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#include "fiber/fiber.hpp"
#include "http/output.hpp"
#include "http/temp_file.hpp"
#include "upstream/transfer.hpp"

namespace mp::upstream {

// Bytes in the order they came, in a fixed piece of memory.
class Ring {
 public:
  void allocate(Arena& arena, std::size_t capacity) {
    data_ = arena.bytes(capacity);
    capacity_ = capacity;
  }
  std::size_t size() const { return size_; }
  std::size_t capacity() const { return capacity_; }

  // Where the next bytes may be written, in one piece; tell filled() how many were.
  std::span<char> room() {
    if (size_ == 0) head_ = 0;
    const std::size_t tail = head_ + size_;
    if (tail < capacity_) return {data_ + tail, capacity_ - tail};
    return {data_ + (tail - capacity_), capacity_ - size_};
  }
  void filled(std::size_t bytes) { size_ += bytes; }

  // What begins `skip` bytes behind the front, as far as it lies in one piece.
  std::string_view front(std::size_t skip) const {
    if (skip >= size_) return {};
    std::size_t at = head_ + skip;
    if (at >= capacity_) return {data_ + (at - capacity_), size_ - skip};
    return {data_ + at, std::min(size_ - skip, capacity_ - at)};
  }
  void drop(std::size_t bytes) {
    head_ += bytes;
    if (head_ >= capacity_) head_ -= capacity_;
    size_ -= bytes;
  }
  void truncate(std::size_t size) { size_ = size; }
  void clear() { head_ = size_ = 0; }

 private:
  char* data_ = nullptr;
  std::size_t capacity_ = 0;
  std::size_t head_ = 0;
  std::size_t size_ = 0;
};

class BodyPump {
 public:
  explicit BodyPump(Transfer& transfer);
  // `what` came of the `size` bytes behind the head, without framing they are `first`.
  http::Step run(Dialect::Body what, std::size_t size, std::string_view first);

 private:
  enum class Source : std::uint8_t { open, done, failed };

  void took(Dialect::Body what, std::size_t size, std::string_view payload);
  bool read(std::span<char> into, std::size_t& payload);
  std::size_t allowed(std::size_t wanted);
  fiber::Msec deadline() const;
  void timed_out();
  bool send(std::span<const http::Piece> pieces, bool last, bool flush = false);
  bool send(std::string_view bytes, bool last, bool flush = false);
  http::Step end();

  void run_unbuffered(std::string_view first);
  void run_buffered(std::string_view first);
  std::size_t waiting() const;
  std::size_t next_pieces(http::Piece (&pieces)[3], bool everything);
  void start_writer();
  void writer_done();
  void wait_for_writer();
  bool spill();
  void drain();

  // Whether the response is read to its end even when the client has gone.
  bool wanted_anyway() const { return conf_.store->on || t_.keeps_response(); }
  void body_complete();
  void store(std::string_view bytes);
  void finish_store();  // store.cpp

  Transfer& t_;
  http::Request& r_;
  const TransferConf& conf_;
  Reply& reply_;
  Source source_ = Source::open;
  bool client_gone_ = false;
  std::uint64_t read_ = 0;
  std::int64_t limit_rate_ = 0;
  std::int64_t started_second_ = 0;

  // In the order of their bytes: what the writer holds, first_, the file, the ring.
  std::string_view first_;
  http::TempFile file_;
  std::uint64_t file_sent_ = 0;
  bool spill_failed_ = false;  // the disk is full, or has no file for us
  Ring ring_;
  std::size_t held_ = 0;  // of the ring's front, in the writer's hands

  http::TempFile stored_;
  bool store_failed_ = false;

  http::Piece pieces_[3];
  bool writer_busy_ = false;
  fiber::Ticket writer_ticket_;
  fiber::Group writer_;  // last: it ends before anything it uses goes away
};

}  // namespace mp::upstream
