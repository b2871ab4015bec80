#include "filters/rewriting_body.hpp"

#include <algorithm>
#include <cerrno>
#include <memory>

#include "http/file_io.hpp"

namespace mp::filters {

using http::Output;
using http::Piece;
using http::Request;

namespace {
constexpr std::size_t kEnough = 32 * 1024;
}

bool RewritingBody::write(Request& r, const Output& output) {
  if (!take_all(r, output) || (output.last && !end(r))) {
    if (!out_.empty()) pass_on(r, false, true);  // what could be made of it
    return false;
  }
  if (out_.empty() && !output.last && !output.flush) return true;
  return pass_on(r, output.last, output.flush);
}

bool RewritingBody::take_all(Request& r, const Output& output) {
  for (const Piece& piece : output.pieces) {
    if (!(piece.in_file() ? take_file(r, piece) : take(r, piece.bytes))) return false;
    if (out_.size() >= kEnough && !pass_on(r)) return false;
  }
  return true;
}

bool RewritingBody::pass_on(Request& r, bool last, bool flush) {
  const Piece piece = Piece::memory(out_);
  const auto pieces = out_.empty() ? std::span<const Piece>() : std::span(&piece, 1);
  const bool ok = next(r, Output{pieces, last, flush});
  out_.clear();
  return ok;
}

bool RewritingBody::take_file(Request& r, const Piece& piece) {
  const std::size_t room = std::min(kEnough, piece.file_size);
  const auto buffer = std::make_unique<char[]>(room);
  off_t offset = piece.offset;
  for (std::size_t left = piece.file_size; left > 0;) {
    const ssize_t n = http::read_file(r, piece.fd, {buffer.get(), std::min(room, left)}, offset);
    if (n <= 0) {
      log::alert(r.logger, log::Errno{n < 0 ? errno : 0}, "pread() read only {} of {} from a file",
                 piece.file_size - left, piece.file_size);
      return false;
    }
    if (!take(r, {buffer.get(), static_cast<std::size_t>(n)})) return false;
    if (out_.size() >= kEnough && !pass_on(r)) return false;
    offset += n;
    left -= static_cast<std::size_t>(n);
  }
  return true;
}

}  // namespace mp::filters
