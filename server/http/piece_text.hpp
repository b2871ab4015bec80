// Parts of a response: their bytes as text, those that lie in files included, and the first of them.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/arena.hpp"
#include "http/output.hpp"

namespace mp::http {

// False when a file has fewer bytes than its piece says; what it has was appended.
bool append_text(std::string& text, const Piece& piece);
bool append_text(std::string& text, const Output& output);

// The first `size` bytes.
std::span<const Piece> first_bytes(Arena& arena, std::span<const Piece> pieces, std::size_t size);

}  // namespace mp::http
