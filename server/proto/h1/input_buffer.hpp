// InputBuffer: the bytes read from a connection and not yet consumed, in one contiguous piece. Its memory
// comes from a pool of the worker and goes back when the buffer is empty and released. Then all that is left
// is a pointer: idle connections are many.
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

  std::string_view unread() const {
    return piece_ == nullptr ? std::string_view()
                             : std::string_view(piece_->bytes() + piece_->begin, piece_->end - piece_->begin);
  }
  bool empty() const { return piece_ == nullptr || piece_->begin == piece_->end; }
  std::span<char> room() {
    return piece_ == nullptr ? std::span<char>()
                             : std::span(piece_->bytes() + piece_->end, piece_->capacity - piece_->end);
  }
  void filled(std::size_t bytes) { piece_->end += bytes; }
  void consume(std::size_t bytes) {
    if (piece_ != nullptr) piece_->begin += bytes;
  }

  // Makes sure there is room for at least `bytes` more, moving or growing as needed. Views into the buffer
  // are invalid when unread().data() changes.
  void reserve(std::size_t bytes) {
    if (piece_ == nullptr || piece_->capacity - piece_->end < bytes) make_room(bytes);
  }

  // Puts back bytes that were read too far; they come before what is unread. Views of unread bytes are
  // invalid.
  void unread_more(std::string_view bytes);

  // From hold() to let_go() consumed bytes stay where they are: a request's head has views into them.
  void hold() {
    if (piece_ != nullptr) piece_->holding = true;
  }
  void let_go() {
    if (piece_ == nullptr) return;
    if (piece_->kept != nullptr) drop_kept();
    piece_->holding = false;
  }

  // Moves what is unread to the front. Only between requests.
  void compact();
  void release();  // drops everything and gives the memory back

 private:
  // In front of its bytes.
  struct Piece {
    Piece* kept;  // the one with the held bytes, when reading has gone on in this one
    std::size_t capacity;
    std::size_t begin;
    std::size_t end;
    bool holding;

    char* bytes() { return reinterpret_cast<char*>(this + 1); }
    bool may_shift() const { return !holding || kept != nullptr; }
  };

  void make_room(std::size_t bytes);
  [[gnu::cold]] void make_large_room(std::size_t bytes);
  void make_more_room(std::size_t bytes);
  void drop_kept();
  static Piece* take(std::size_t capacity);
  static void give_back(Piece* piece);

  Piece* piece_ = nullptr;
};

}  // namespace mp::proto
