// The bytes of response parts as text, those that lie in files included.
#pragma once

#include <string>

#include "http/output.hpp"

namespace mp::http {

// False when a file has fewer bytes than its piece says; what it has was appended.
bool append_text(std::string& text, const Piece& piece);
bool append_text(std::string& text, const Output& output);

}  // namespace mp::http
