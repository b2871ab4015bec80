// Undoes what was compressed to the format deflate (RFC 1951), with zlib: for those who test a compressor.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <zlib.h>

namespace mp::test {

// What was packed; nothing when it is not one whole stream. Unpacked a little at a time, so that what is
// further back than the window is not there any more.
inline std::optional<std::string> unpack(std::string_view packed) {
  z_stream z{};
  if (inflateInit2(&z, -15) != Z_OK) return std::nullopt;
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  z.avail_in = static_cast<uInt>(packed.size());
  std::string text;
  int rc = Z_OK;
  while (rc == Z_OK) {
    char room[1000];
    z.next_out = reinterpret_cast<Bytef*>(room);
    z.avail_out = sizeof room;
    rc = inflate(&z, Z_NO_FLUSH);
    text.append(room, sizeof room - z.avail_out);
  }
  inflateEnd(&z);
  if (rc != Z_STREAM_END || z.avail_in != 0) return std::nullopt;
  return text;
}

}  // namespace mp::test
