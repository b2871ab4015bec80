#include "http/piece_text.hpp"

#include <algorithm>

#include "fiber/fiber.hpp"
#include "http/file_io.hpp"
#include "http/request.hpp"

namespace mp::http {

bool append_text(std::string& text, const Piece& piece) {
  if (!piece.in_file()) {
    text.append(piece.bytes);
    return true;
  }
  const std::size_t before = text.size();
  text.resize(before + piece.file_size);
  auto& request = *static_cast<Request*>(fiber::local().request);
  const ssize_t n = read_file(request, piece.fd, {text.data() + before, piece.file_size}, piece.offset);
  text.resize(before + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  return text.size() == before + piece.file_size;
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
