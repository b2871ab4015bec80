// Input: bytes that came from a peer and were not taken yet, in one piece. Owned by its socket; grows as far
// as a script asks to read in one go. Memory of the usual size is kept by the worker for the next socket: the
// collector may be slow to free one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string_view>
#include <utility>

namespace mp::lua {

class Input {
 public:
  Input() = default;
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;
  ~Input() { release(); }

  std::string_view view() const { return {data_.get() + begin_, end_ - begin_}; }
  std::size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }
  char* data() { return data_.get() + begin_; }

  void consume(std::size_t n) {
    begin_ += n;
    if (begin_ == end_) begin_ = end_ = 0;
  }

  // Room behind what is there; never empty. `usual` is the size to start with, `wanted` a hint.
  std::span<char> room(std::size_t usual, std::size_t wanted = 0) {
    const std::size_t least = std::max<std::size_t>(1, std::min(wanted, kMostAhead));
    if (capacity_ - end_ < least && begin_ > 0) {
      std::memmove(data_.get(), data_.get() + begin_, size());
      end_ -= begin_;
      begin_ = 0;
    }
    if (capacity_ - end_ < least) grow(std::max({usual, capacity_ * 2, end_ + least}));
    return {data_.get() + end_, capacity_ - end_};
  }
  void filled(std::size_t n) { end_ += n; }
  void append(std::string_view bytes) {
    while (!bytes.empty()) {
      const std::span<char> space = room(bytes.size());
      const std::size_t n = std::min(space.size(), bytes.size());
      std::memcpy(space.data(), bytes.data(), n);
      filled(n);
      bytes.remove_prefix(n);
    }
  }
  void clear() { begin_ = end_ = 0; }
  // Drops what is there, and the memory.
  void release() {
    if (capacity_ == 0) return;
    if (capacity_ == kPooled && spare_.count < kMostSpare) {
      spare_.first = new (data_.release()) Piece{spare_.first};
      ++spare_.count;
    } else {
      data_.reset();
    }
    begin_ = end_ = capacity_ = 0;
  }

 private:
  static constexpr std::size_t kPooled = 4096;  // lua_socket_buffer_size by default
  static constexpr std::size_t kMostSpare = 256;
  // Memory to be used again: a list through the pieces themselves.
  struct Piece {
    Piece* next;
  };
  struct Spare {
    Piece* first;
    std::size_t count;
  };
  static inline constinit thread_local Spare spare_{nullptr, 0};

  static constexpr std::size_t kMostAhead = 256 * 1024;  // reserved at once for what may never come
  void grow(std::size_t capacity) {
    std::unique_ptr<char[]> bigger;
    if (capacity == kPooled && spare_.first != nullptr) {
      Piece* piece = std::exchange(spare_.first, spare_.first->next);
      --spare_.count;
      bigger.reset(reinterpret_cast<char*>(piece));
    } else {
      bigger.reset(new char[capacity]);
    }
    if (size() > 0) std::memcpy(bigger.get(), data(), size());
    end_ = size();
    begin_ = 0;
    data_ = std::move(bigger);
    capacity_ = capacity;
  }

  std::unique_ptr<char[]> data_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace mp::lua
