#include "http/piece_text.hpp"

#include <algorithm>

#include <unistd.h>

namespace mp::http {

bool append_text(std::string& text, const Piece& piece) {
  if (!piece.in_file()) {
    text.append(piece.bytes);
    return true;
  }
  const std::size_t before = text.size();
  text.resize(before + piece.file_size);
  std::size_t done = 0;
  while (done < piece.file_size) {
    const ssize_t n = pread(piece.fd, text.data() + before + done, piece.file_size - done,
                            piece.offset + static_cast<off_t>(done));
    if (n <= 0) {
      text.resize(before + done);
      return false;
    }
    done += static_cast<std::size_t>(n);
  }
  return true;
}

bool append_text(std::string& text, const Output& output) {
  for (const Piece& piece : output.pieces) {
    if (!append_text(text, piece)) return false;
  }
  return true;
}

std::span<const Piece> first_bytes(Arena& arena, std::span<const Piece> pieces, std::size_t size) {
  Piece* const kept = arena.array<Piece>(pieces.size());
  std::size_t count = 0;
  for (Piece piece : pieces) {
    if (size == 0) break;
    const std::size_t n = std::min(size, piece.size());
    piece.bytes = piece.bytes.substr(0, n);
    if (piece.in_file()) piece.file_size = n;
    kept[count++] = piece;
    size -= n;
  }
  return {kept, count};
}

}  // namespace mp::http
