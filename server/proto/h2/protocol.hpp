// The numbers of HTTP/2 (RFC 9113 sections 6, 7 and 11), and the head that every frame has. Constant data and
// pure functions; nothing is owned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mp::proto {

inline constexpr std::string_view kH2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
inline constexpr std::size_t kH2FrameHead = 9;
inline constexpr std::size_t kMaxH2Window = 0x7fffffff;
inline constexpr std::uint32_t kH2FirstWindow =
    65535;  // of connections and streams, until SETTINGS say otherwise
inline constexpr std::uint32_t kH2FirstFrame = 16384;  // the longest payload, likewise
inline constexpr std::uint32_t kH2MostFrame = (1 << 24) - 1;

enum class H2Type : std::uint8_t {
  data,
  headers,
  priority,
  rst_stream,
  settings,
  push_promise,
  ping,
  goaway,
  window_update,
  continuation,
};

namespace h2_flag {
inline constexpr std::uint8_t kAck = 0x1;
inline constexpr std::uint8_t kEndStream = 0x1;
inline constexpr std::uint8_t kEndHeaders = 0x4;
inline constexpr std::uint8_t kPadded = 0x8;
inline constexpr std::uint8_t kPriority = 0x20;
}  // namespace h2_flag

enum class H2Error : std::uint32_t {
  none,
  protocol,
  internal,
  flow_control,
  settings_timeout,
  stream_closed,
  frame_size,
  refused_stream,
  cancel,
  compression,
  connect,
  enhance_your_calm,
};

enum class H2Setting : std::uint16_t {
  header_table_size = 1,
  enable_push = 2,
  max_concurrent_streams = 3,
  initial_window_size = 4,
  max_frame_size = 5,
  max_header_list_size = 6,
  enable_connect_protocol = 8,  // RFC 8441
  no_rfc7540_priorities = 9,    // RFC 9218
};

constexpr std::uint32_t h2_get32(const char* p) {
  const auto byte = [p](int i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(p[i])); };
  return byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3);
}

constexpr char* h2_put32(char* p, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) p[i] = static_cast<char>(value >> (24 - 8 * i));
  return p + 4;
}

struct H2FrameHead {
  std::uint32_t length = 0;  // of the payload
  H2Type type = H2Type::data;
  std::uint8_t flags = 0;
  std::uint32_t stream = 0;

  bool has(std::uint8_t flag) const { return (flags & flag) != 0; }
  bool is_known() const { return type <= H2Type::continuation; }
  bool comes_in_parts() const { return type == H2Type::data || !is_known(); }  // to be used as they come
  static H2FrameHead read(const char* p) {
    return {h2_get32(p) >> 8, static_cast<H2Type>(p[3]), static_cast<std::uint8_t>(p[4]),
            h2_get32(p + 5) & 0x7fffffff};
  }
  // Returns the place behind it.
  char* write(char* p) const {
    h2_put32(p, length << 8 | static_cast<std::uint32_t>(type));
    p[4] = static_cast<char>(flags);
    return h2_put32(p + 5, stream);
  }
};

}  // namespace mp::proto
