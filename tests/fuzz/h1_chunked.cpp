// Chunked bodies: the same payload and end however the bytes are cut, in place or not, and the payload,
// encoded again, decodes to itself.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "proto/h1/chunked.hpp"

using namespace mp;
using namespace mp::proto;
using Event = ChunkedDecoder::Event;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

struct Decoded {
  Event end = Event::need_more;
  std::string payload;
  std::size_t used = 0;
};

Decoded decode(std::string_view data, std::size_t step) {
  ChunkedDecoder decoder(
      {.max_extension = 32, .max_overhead = 64, .max_trailers = 64, .max_trailer_fields = 4});
  Decoded result;
  while (!data.empty()) {
    std::string_view piece = data.substr(0, step);
    data.remove_prefix(piece.size());
    for (;;) {
      result.end = decoder.next(piece);
      result.used += decoder.consumed();
      if (result.end != Event::data) break;
      result.payload += decoder.data();
      piece.remove_prefix(decoder.consumed());
    }
    if (result.end != Event::need_more) break;
  }
  require(decoder.total() == result.payload.size());
  require((decoder.at_least() == 0) == (result.end == Event::done || result.end == Event::error));
  if (result.end == Event::done) {
    Arena arena;
    http::FieldList fields(arena);
    decoder.trailers(arena, fields);
    require(fields.find(http::HeaderId::content_length) == nullptr);
  }
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size < 1) return 0;
  const std::string data(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  const Decoded whole = decode(data, data.size() + 1);
  const Decoded cut = decode(data, 1 + bytes[0] % 17);
  require(whole.end == cut.end && whole.payload == cut.payload);
  if (whole.end == Event::done) require(whole.used == cut.used);

  std::string copy = data;
  ChunkedDecoder decoder(
      {.max_extension = 32, .max_overhead = 64, .max_trailers = 64, .max_trailer_fields = 4});
  std::size_t payload = 0;
  require(decoder.decode_in_place(copy.data(), copy.size(), &payload) == whole.end);
  require(std::string_view(copy).substr(0, payload) == whole.payload);

  if (!whole.payload.empty()) {
    char head[kMaxChunkHead];
    std::string encoded(head, static_cast<std::size_t>(write_chunk_head(head, whole.payload.size()) - head));
    encoded.append(whole.payload).append("\r\n").append(kLastChunk);
    const Decoded again = decode(encoded, encoded.size());
    require(again.end == Event::done && again.payload == whole.payload && again.used == encoded.size());
  }
  return 0;
}
