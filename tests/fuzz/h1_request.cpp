// HTTP/1 request heads: accepted or refused the same way however the bytes are cut, and what is accepted
// obeys the rules that keep two parsers in a row from disagreeing.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "proto/h1/request_parser.hpp"

using namespace mp;
using namespace mp::proto;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

bool inside(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

std::string describe(const RequestHeadParser& p, Parse result) {
  if (result == Parse::need_more) return "more";
  if (result == Parse::error) return std::to_string(p.error().status) + p.error().text;
  const RequestHead& h = p.head();
  std::string s = std::string(h.method_name) + '|' + std::string(h.target) + '|' + std::to_string(h.version) +
                  '|' + std::to_string(p.consumed()) + '|' + std::to_string(h.body.length) + '|' +
                  std::to_string(static_cast<int>(h.body.kind)) + '|' +
                  (h.host ? std::string(h.host->name) : "-");
  for (const auto& f : h.fields.all()) s += '\n' + std::string(f.name) + ':' + std::string(f.value);
  return s + '\n' + std::to_string(p.ignored_lines());
}

void check_accepted(const RequestHeadParser& p, std::string_view data) {
  const RequestHead& h = p.head();
  require(p.consumed() <= data.size());
  require(h.raw.data() + h.raw.size() == data.data() + p.consumed());
  require(h.raw.ends_with('\n'));
  require(h.version == 9 || h.version >= 1000);
  int lengths = 0, codings = 0, hosts = 0;
  for (const auto& f : h.fields.all()) {
    require(inside(f.name, h.raw) && inside(f.value, h.raw));
    require(!f.name.empty() && http::check_name(f.name, true) == http::NameCheck::good);
    require(http::is_field_value(f.value));
    require(f.id == http::header_id(f.name));
    lengths += f.id == http::HeaderId::content_length;
    codings += f.id == http::HeaderId::transfer_encoding;
    hosts += f.id == http::HeaderId::host;
  }
  require(lengths + codings <= 1 && hosts <= 1);
  require(h.version <= 1000 || hosts == 1);
  require((h.body.kind == http::BodyKind::length) == (lengths == 1));
  require((h.body.kind == http::BodyKind::chunked) == (codings == 1));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size < 2) return 0;
  const std::string data(reinterpret_cast<const char*>(bytes) + 2, size - 2);
  HeadOptions options;
  options.first_buffer = 128;
  options.large_buffer = 256;
  options.max_fields = 20;
  options.bare_lf = (bytes[0] & 1) != 0;
  options.underscores = true;

  Arena arena;
  RequestHeadParser whole(options, arena);
  const Parse result = whole.feed(data);
  if (result == Parse::complete) check_accepted(whole, data);
  const std::string expected = describe(whole, result);

  // In steps, each from a fresh allocation: stale views would show.
  const std::size_t step = 1 + bytes[1] % 23;
  Arena other_arena;
  RequestHeadParser cut(options, other_arena);
  Parse cut_result = Parse::need_more;
  std::string piece;
  for (std::size_t end = 0; cut_result == Parse::need_more; end += step) {
    std::string next(data, 0, end);
    if (end >= data.size()) next = data;
    next.shrink_to_fit();
    cut_result = cut.feed(next);
    piece = std::move(next);
    cut.rebase(piece.data());
    if (end >= data.size()) break;
  }
  require(describe(cut, cut_result) == expected);
  return 0;
}
