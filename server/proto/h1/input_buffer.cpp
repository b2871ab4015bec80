#include "proto/h1/input_buffer.hpp"

#include <cstdlib>
#include <cstring>
#include <new>

#include "base/block_pool.hpp"

namespace mp::proto {
namespace {

constexpr std::size_t kPooled = 16 * 1024;  // the capacity of pooled pieces
constexpr std::size_t kHead = 64;           // room for a Piece in front of it

constinit thread_local BlockPool pool(kHead + kPooled);

}  // namespace

[[gnu::always_inline]] inline InputBuffer::Piece* InputBuffer::take(std::size_t capacity) {
  static_assert(sizeof(Piece) <= kHead);
  void* p = capacity == kPooled ? pool.take() : std::malloc(sizeof(Piece) + capacity);
  if (p == nullptr) throw std::bad_alloc();
  return new (p) Piece{nullptr, capacity, 0, 0, false};
}

[[gnu::always_inline]] inline void InputBuffer::give_back(Piece* piece) {
  if (piece->capacity == kPooled) {
    pool.give_back(piece);
  } else {
    std::free(piece);
  }
}

void InputBuffer::make_room(std::size_t bytes) {
  if (piece_ == nullptr && bytes <= kPooled) [[likely]] {
    piece_ = take(kPooled);
  } else if (piece_ == nullptr) {
    make_large_room(bytes);
  } else {
    make_more_room(bytes);
  }
}

[[gnu::noinline]] void InputBuffer::make_large_room(std::size_t bytes) {
  piece_ = take(bytes);
}

[[gnu::noinline]] void InputBuffer::make_more_room(std::size_t bytes) {
  Piece& old = *piece_;
  const std::size_t held = old.end - old.begin;
  const bool may_shift = old.may_shift();
  if (may_shift && old.capacity - held >= bytes) return compact();
  std::size_t bigger = may_shift ? old.capacity * 2 : kPooled;
  while (bigger - held < bytes || bigger < held) bigger *= 2;
  Piece* next = take(bigger);
  std::memcpy(next->bytes(), old.bytes() + old.begin, held);
  next->end = held;
  next->holding = old.holding;
  if (may_shift) {
    next->kept = old.kept;
    give_back(&old);
  } else {
    next->kept = &old;
  }
  piece_ = next;
}

void InputBuffer::unread_more(std::string_view bytes) {
  const std::size_t held = unread().size();
  reserve(bytes.size());
  char* front = piece_->bytes() + piece_->begin;
  std::memmove(front + bytes.size(), front, held);
  bytes.copy(front, bytes.size());
  piece_->end += bytes.size();
}

void InputBuffer::drop_kept() {
  give_back(piece_->kept);
  piece_->kept = nullptr;
}

void InputBuffer::compact() {
  if (piece_ == nullptr || piece_->begin == 0 || !piece_->may_shift()) return;
  std::memmove(piece_->bytes(), piece_->bytes() + piece_->begin, piece_->end - piece_->begin);
  piece_->end -= piece_->begin;
  piece_->begin = 0;
}

void InputBuffer::release() {
  let_go();
  if (piece_ == nullptr) return;
  give_back(piece_);
  piece_ = nullptr;
}

}  // namespace mp::proto
