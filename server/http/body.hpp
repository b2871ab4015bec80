// RequestBody: the client's body once it was read completely: in memory, in a temporary file, or both (the
// file then holds all of it). Lives in the request.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "http/output.hpp"
#include "http/temp_file.hpp"
#include "net/io.hpp"

namespace mp::http {

class Request;

class RequestBody {
 public:
  enum class State : std::uint8_t { unread, reading, read, discarded };

  State state = State::unread;
  std::vector<std::string_view> parts;      // views into the request's arena; empty when it is in the file
  TempFile file;                            // open when the body was written out
  const TempFile* borrowed_file = nullptr;  // of the parent, when a subrequest forwards its body
  std::uint64_t size = 0;                   // bytes of decoded body
  // What client_max_body_size did not let in: the bytes so far, and the chunk behind them (HTTP/1).
  std::uint64_t too_large = 0;
  std::uint64_t too_large_chunk = 0;

  bool in_file() const { return stored() != nullptr; }
  // The file that holds it, own or borrowed; null when it is in memory.
  const TempFile* stored() const { return file.fd() >= 0 ? &file : borrowed_file; }
  // The pieces to send it with.
  std::vector<Piece> pieces() const;
  // In one view: copied together into the arena when it has several parts. Empty when it is in a file.
  std::string_view text(Request& request);
};

struct ReadBodyOptions {
  bool in_file_only = false;  // client_body_in_file_only, request_body_file_group_access
  bool in_single_buffer = false;
};

// Whether the client waits for a 100 before it sends the body: `Expect: 100-continue` (RFC 9110, 10.1.1).
bool expects_continue(const Request& request);

// Reads the whole body (once; later calls return at once). 0, or the status to finish with: 400, 408, 413,
// 500. Parks. For a subrequest it is the parent's body.
int read_body(Request& request, ReadBodyOptions options = {});

// The status that a failed read of the body ends the request with; the failure is logged. Where the client
// has gone the request is aborted, too: nobody waits for an answer.
int body_failure_status(Request& request, const net::Io& io);

// Reads and drops what is left, so that the connection can be used again; bounded by lingering_time.
// False when the connection must be closed instead.
bool discard_body(Request& request);

// Makes `bytes` (copied) the body, as if the client had sent it; "Content-Length" follows.
void set_body(Request& request, std::string_view bytes);

}  // namespace mp::http
