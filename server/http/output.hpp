// Output: a part of a response body on its way to the client, through the body filters to the sink.
//
// Whoever calls write() owns the bytes; they stay valid until write() returns, and by then have been sent or
// copied. write() parks while the client is slow. It returns false when the response cannot be completed (the
// client has gone): nothing more needs to be produced then.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include <sys/types.h>

namespace mp::http {

class Request;

// A run of bytes in memory, or a range of an open file when fd >= 0.
struct Piece {
  std::string_view bytes;
  int fd = -1;
  off_t offset = 0;
  std::size_t file_size = 0;

  bool in_file() const { return fd >= 0; }
  std::size_t size() const { return in_file() ? file_size : bytes.size(); }
  static Piece memory(std::string_view bytes) { return {bytes}; }
  static Piece file(int fd, off_t offset, std::size_t size) { return {{}, fd, offset, size}; }
};

struct Output {
  std::span<const Piece> pieces;
  bool last = false;   // the body ends with this
  bool flush = false;  // send what was held back, do not wait for more

  std::size_t size() const {
    std::size_t n = 0;
    for (const Piece& piece : pieces) n += piece.size();
    return n;
  }
};

// One stage of a request's body pipeline. Made in the request's arena by the header filter that decided it is
// needed; requests that need no filter have an empty pipeline.
class BodyFilter {
 public:
  virtual ~BodyFilter() = default;
  virtual bool write(Request& request, const Output& output) = 0;

 protected:
  // Hands on to the next stage.
  bool next(Request& request, const Output& output);

 private:
  friend class Request;
  BodyFilter* next_ = nullptr;
};

// Where a finished response goes: a protocol (main requests), a capture, or the parent's body (subrequests).
class Sink {
 public:
  virtual ~Sink() = default;
  // The head is final: status and fields of request.out, after all header filters. Called once.
  // `no_body`: nothing follows (HEAD, 204, 304).
  virtual bool send_head(Request& request, bool no_body) = 0;
  virtual bool send_body(Request& request, const Output& output) = 0;
};

}  // namespace mp::http
