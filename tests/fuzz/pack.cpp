// Compression of whole bodies: what was packed unpacks to the same bytes, within the room it was promised.
// The first byte chooses the level and how often the rest is repeated, so that long texts come of short
// inputs.
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "filters/pack/packer.hpp"
#include "support/unpack.hpp"

using mp::filters::pack::Packer;

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
  assert(mp::test::unpack(packed) == text);
  return 0;
}
