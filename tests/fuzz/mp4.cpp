// The head of a movie from any bytes, cut to any part. What is accepted lies inside the media, and its boxes
// can be cut again.
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "phases/10_content/mp4/movie.hpp"

using namespace mp::phases::mp4;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 6) return 0;
  const Cut cut{data[0] * 50u, data[1] * 50u, (data[2] & 1) != 0};
  const std::uint64_t media_end = data[3] * 256u + data[4];
  const std::string_view moov(reinterpret_cast<const char*>(data) + 5, size - 5);
  const auto part = make_part({"isom", moov, media_end}, cut);
  if (!part) return 0;
  assert(part->offset >= 0 && part->size > 0);
  assert(static_cast<std::uint64_t>(part->offset + part->size) <= media_end);
  const auto ftyp = read_box(part->head);
  assert(ftyp && ftyp->name == "ftyp" && ftyp->size == 12);
  const std::string_view rest = std::string_view(part->head).substr(12);
  const auto box = read_box(rest);
  assert(box && box->name == "moov" && box->size < rest.size());
  const auto again = rest.substr(8, static_cast<std::size_t>(box->size) - 8);
  assert(for_each_box(again, [](std::string_view, std::string_view) { return true; }));
  static_cast<void>(make_part({"isom", again, media_end}, {0, cut.length, false}));
  return 0;
}
