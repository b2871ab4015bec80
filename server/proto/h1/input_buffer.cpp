#include "proto/h1/input_buffer.hpp"

#include <cstdlib>
#include <cstring>
#include <new>

namespace mp::proto {
namespace {

constexpr std::size_t kPooled = 16 * 1024;  // the size of pooled pieces
constexpr std::size_t kKept = 128;

struct Pool {
  char* pieces[kKept];
  std::size_t count = 0;
  ~Pool() {
    while (count > 0) std::free(pieces[--count]);
  }
};
thread_local Pool pool;

char* take(std::size_t size) {
  if (size == kPooled && pool.count > 0) return pool.pieces[--pool.count];
  auto* p = static_cast<char*>(std::malloc(size));
  if (p == nullptr) throw std::bad_alloc();
  return p;
}

void give_back(char* p, std::size_t size) {
  if (size == kPooled && pool.count < kKept) {
    pool.pieces[pool.count++] = p;
  } else {
    std::free(p);
  }
}

}  // namespace

void InputBuffer::reserve(std::size_t bytes) {
  if (data_ == nullptr) {
    capacity_ = bytes > kPooled ? bytes : kPooled;
    data_ = take(capacity_);
    begin_ = end_ = 0;
    return;
  }
  if (capacity_ - end_ >= bytes) return;
  const std::size_t held = end_ - begin_;
  if (may_shift() && capacity_ - held >= bytes) return compact();
  std::size_t bigger = may_shift() ? capacity_ * 2 : kPooled;
  while (bigger - held < bytes || bigger < held) bigger *= 2;
  char* p = take(bigger);
  std::memcpy(p, data_ + begin_, held);
  if (may_shift()) {
    give_back(data_, capacity_);
  } else {
    kept_ = data_;
    kept_capacity_ = capacity_;
  }
  data_ = p;
  capacity_ = bigger;
  begin_ = 0;
  end_ = held;
}

void InputBuffer::unread_more(std::string_view bytes) {
  const std::size_t held = end_ - begin_;
  reserve(bytes.size());
  std::memmove(data_ + begin_ + bytes.size(), data_ + begin_, held);
  bytes.copy(data_ + begin_, bytes.size());
  end_ += bytes.size();
}

void InputBuffer::let_go() {
  if (kept_ != nullptr) give_back(kept_, kept_capacity_);
  kept_ = nullptr;
  holding_ = false;
}

void InputBuffer::compact() {
  if (begin_ == 0 || !may_shift()) return;
  std::memmove(data_, data_ + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
}

void InputBuffer::release() {
  let_go();
  if (data_ == nullptr) return;
  give_back(data_, capacity_);
  data_ = nullptr;
  capacity_ = begin_ = end_ = 0;
}

}  // namespace mp::proto
