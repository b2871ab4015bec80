// Compression of whole bodies: what was packed unpacks to the same bytes, within the room it was promised.
// The first byte chooses the level and how often the rest is repeated, so that long texts come of short
// inputs.
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <zlib.h>

#include "filters/pack/packer.hpp"

using mp::filters::pack::Packer;

namespace {

// Unpacked a little at a time, so that what is further back than the window is not there any more.
void check_unpacked(std::string_view packed, std::string_view text) {
  z_stream z{};
  assert(inflateInit2(&z, -15) == Z_OK);
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  z.avail_in = static_cast<uInt>(packed.size());
  std::string back;
  int rc = Z_OK;
  while (rc == Z_OK) {
    char room[4096];
    z.next_out = reinterpret_cast<Bytef*>(room);
    z.avail_out = sizeof room;
    rc = inflate(&z, Z_NO_FLUSH);
    back.append(room, sizeof room - z.avail_out);
  }
  inflateEnd(&z);
  assert(rc == Z_STREAM_END && z.avail_in == 0 && back == text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  constexpr int kLevels = Packer::kMostLevel - Packer::kLeastLevel + 1;
  const int level = Packer::kLeastLevel + data[0] % kLevels;
  const unsigned times = 1u << (data[0] / kLevels % 8);
  std::string text;
  for (unsigned i = 0; i < times; ++i) {
    text.append(reinterpret_cast<const char*>(data + 1), size - 1);
    text += static_cast<char>(i);
  }
  static Packer packer;
  const std::string_view packed = packer.pack(level, text);
  assert(packed.size() <= mp::filters::pack::Blocks::room_for(text.size()));
  check_unpacked(packed, text);
  return 0;
}
