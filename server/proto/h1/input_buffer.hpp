// InputBuffer: the bytes read from a connection and not yet consumed, in one contiguous piece. Its memory
// comes from a pool of the worker and goes back when the buffer is empty and released.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace mp::proto {

class InputBuffer {
 public:
  InputBuffer() = default;
  InputBuffer(const InputBuffer&) = delete;
  InputBuffer& operator=(const InputBuffer&) = delete;
  ~InputBuffer() { release(); }

  std::string_view unread() const { return {data_ + begin_, end_ - begin_}; }
  bool empty() const { return begin_ == end_; }
  std::span<char> room() { return {data_ + end_, capacity_ - end_}; }
  void filled(std::size_t bytes) { end_ += bytes; }
  void consume(std::size_t bytes) { begin_ += bytes; }

  // Makes sure there is room for at least `bytes` more, moving or growing as needed. Views into the buffer
  // are invalid when unread().data() changes.
  void reserve(std::size_t bytes);

  // Puts back bytes that were read too far; they come before what is unread. Views of unread bytes are
  // invalid.
  void unread_more(std::string_view bytes);

  // From hold() to let_go() consumed bytes stay where they are: a request's head has views into them.
  void hold() { holding_ = true; }
  void let_go();

  // Moves what is unread to the front. Only between requests.
  void compact();
  void release();  // drops everything and gives the memory back

 private:
  bool may_shift() const { return !holding_ || kept_ != nullptr; }

  char* data_ = nullptr;
  char* kept_ = nullptr;  // the piece with the held bytes, when reading has gone on in another one
  std::size_t kept_capacity_ = 0;
  bool holding_ = false;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace mp::proto
