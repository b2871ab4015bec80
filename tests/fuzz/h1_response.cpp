// HTTP/1 response heads: the same result however the bytes are cut, and never two ways to frame a body.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "proto/h1/response_parser.hpp"

using namespace mp;
using namespace mp::proto;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

std::string describe(const ResponseHeadParser& p, Parse result) {
  if (result == Parse::need_more) return "more";
  if (result == Parse::error) return p.error().text;
  const ResponseHead& h = p.head();
  std::string s = std::to_string(h.version) + '|' + std::string(h.status_line) + '|' + std::string(h.reason) +
                  '|' + std::to_string(p.consumed()) + '|' + std::to_string(h.content_length) +
                  (h.chunked ? "c" : "") + (h.connection_close ? "x" : "");
  for (const auto& f : h.fields.all()) s += '\n' + std::string(f.name) + ':' + std::string(f.value);
  return s;
}

void check_accepted(const ResponseHeadParser& p) {
  const ResponseHead& h = p.head();
  require(h.version == 9 || (h.status >= 0 && h.status <= 999));
  require(h.version != 9 || (p.consumed() == 0 && h.fields.size() == 0));
  for (const auto& f : h.fields.all()) {
    require(http::check_name(f.name, true) != http::NameCheck::bad);
    require(http::is_field_value(f.value));
  }
  require(!h.chunked || h.content_length < 0);
  const auto framing = response_framing(h, false);
  require(framing.kind != http::BodyKind::length || framing.length >= 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size < 1) return 0;
  const std::string data(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  Arena arena;
  ResponseHeadParser whole(arena, 20);
  const Parse result = whole.feed(data);
  if (result == Parse::complete) check_accepted(whole);

  const std::size_t step = 1 + bytes[0] % 23;
  Arena other_arena;
  ResponseHeadParser cut(other_arena, 20);
  Parse cut_result = Parse::need_more;
  std::string piece;
  for (std::size_t end = 0; cut_result == Parse::need_more; end += step) {
    std::string next = end >= data.size() ? data : std::string(data, 0, end);
    next.shrink_to_fit();
    cut_result = cut.feed(next);
    piece = std::move(next);
    cut.rebase(piece.data());
    if (end >= data.size()) break;
  }
  require(describe(cut, cut_result) == describe(whole, result));
  return 0;
}
