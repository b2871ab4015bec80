// H2Callbacks: what nghttp2 calls, handed on to the session and its streams. Internal to proto/h2.
#pragma once

#include <cstddef>
#include <cstdint>

#include <nghttp2/nghttp2.h>

namespace mp::proto {

class H2Session;

struct H2Callbacks {
  // Settings of the engine and the table of callbacks: made once, the same for every session.
  static const nghttp2_session_callbacks* table();
  static const nghttp2_option* options();
  // Where a session's memory comes from.
  static nghttp2_mem* memory();

  // The body of a stream's response.
  static ssize_t read_body(nghttp2_session*, std::int32_t id, std::uint8_t* buffer, std::size_t size,
                           std::uint32_t* flags, nghttp2_data_source* source, void* user);
};

}  // namespace mp::proto
