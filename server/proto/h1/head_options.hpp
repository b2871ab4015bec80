// Limits and switches of the HTTP/1 head parsers: what the configuration says about header buffers
// and tolerance. Plain values, copied freely.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mp::proto {

struct HeadOptions {
  std::size_t first_buffer = 1024;  // client_header_buffer_size
  std::size_t large_buffer = 8192;  // large_client_header_buffers: size of one
  unsigned large_buffers = 4;       //                              and how many
  unsigned max_fields = 1000;       // max_headers
  bool ignore_odd_names = true;     // ignore_invalid_headers
  bool underscores = false;         // underscores_in_headers
  bool bare_lf = true;              // a single LF ends a line too (RFC 9112 2.2); never in chunks
  bool allow_connect = false;       // pass CONNECT on instead of answering 405

  // No head that the limits allow is longer than this: the room a reader must be able to offer.
  std::size_t max_head() const { return first_buffer + large_buffer * large_buffers; }
};

enum class Parse : std::uint8_t { need_more, complete, error };

}  // namespace mp::proto
