#include "filters/range.hpp"

#include <vector>

#include "base/clock.hpp"
#include "base/numbers.hpp"
#include "base/strings.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"

namespace mp::filters {

using http::HeaderId;
using http::Output;
using http::Piece;
using http::Request;

namespace {

struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;  // exclusive
  std::string_view part_head;
};

enum class Parsed { good, ignore, unsatisfiable };

// "bytes=0-99,200-,-50". Bad syntax means 416, as the peer has it; too much overlap, and a range
// from the start of nothing, means the whole response.
Parsed parse_ranges(std::string_view text, std::int64_t size, std::int64_t most, std::vector<Range>& out) {
  if (text.size() <= 6 || !starts_with_nocase(text, "bytes=")) return Parsed::ignore;
  text.remove_prefix(6);
  std::int64_t total = 0;
  bool from_start = false;
  for (std::string_view spec : split(text, ',')) {
    spec = trim(spec);
    const std::size_t dash = spec.find('-');
    if (dash == std::string_view::npos) return Parsed::unsatisfiable;
    const std::string_view first = trim(spec.substr(0, dash));
    const std::string_view last = trim(spec.substr(dash + 1));
    Range range;
    if (first.empty()) {
      const auto suffix = parse_natural<std::int64_t>(last);
      if (!suffix) return Parsed::unsatisfiable;
      range.begin = *suffix < size ? size - *suffix : 0;
      range.end = size;
    } else {
      const auto begin = parse_natural<std::int64_t>(first);
      const auto end =
          last.empty() ? std::optional<std::int64_t>(size - 1) : parse_natural<std::int64_t>(last);
      if (!begin || !end) return Parsed::unsatisfiable;
      range.begin = *begin;
      range.end = (*end < size ? *end : size - 1) + 1;
    }
    from_start |= range.begin == 0;
    if (range.begin >= range.end) continue;
    if (most-- == 0) return Parsed::ignore;
    total += range.end - range.begin;
    out.push_back(range);
  }
  if (out.empty()) return from_start ? Parsed::ignore : Parsed::unsatisfiable;
  return total > size ? Parsed::ignore : Parsed::good;
}

std::string_view number(Request& r, std::int64_t n) {
  char text[kMaxDecimal];
  return r.arena.copy({text, static_cast<std::size_t>(print(text, n) - text)});
}

std::string_view content_range(Request& r, const Range& range, std::int64_t size) {
  return r.arena.concat("bytes ", number(r, range.begin), "-", number(r, range.end - 1), "/",
                        number(r, size));
}

// Lets through the bytes of the ranges, which are in the order asked for; each part of a multipart response
// is looked for in the pieces as they pass, so a handler's body must come in one piece for ranges that go
// back.
class RangeBody final : public http::BodyFilter {
 public:
  RangeBody(std::vector<Range> ranges, std::string_view tail, std::int64_t offset = 0)
      : ranges_(std::move(ranges)), tail_(tail), offset_(offset) {}

  bool write(Request& r, const Output& output) override {
    return ranges_.size() == 1 ? write_single(r, output) : write_multipart(r, output);
  }

 private:
  // The part of `piece`, which begins at `at` of the whole body, that lies in the range.
  static bool cut(const Piece& piece, std::int64_t at, const Range& range, Piece& out) {
    const auto size = static_cast<std::int64_t>(piece.size());
    const std::int64_t begin = range.begin > at ? range.begin - at : 0;
    const std::int64_t end = range.end - at < size ? range.end - at : size;
    if (begin >= end) return false;
    const auto from = static_cast<std::size_t>(begin);
    const auto length = static_cast<std::size_t>(end - begin);
    out = piece.in_file() ? Piece::file(piece.fd, piece.offset + begin, length)
                          : Piece::memory(piece.bytes.substr(from, length));
    return true;
  }

  bool write_single(Request& r, const Output& output) {
    std::vector<Piece> pieces;
    for (const Piece& piece : output.pieces) {
      Piece kept;
      if (cut(piece, offset_, ranges_[0], kept)) pieces.push_back(kept);
      offset_ += static_cast<std::int64_t>(piece.size());
    }
    const bool last = output.last || offset_ >= ranges_[0].end;
    if (done_) return true;
    done_ = last;
    return next(r, Output{pieces, last, output.flush});
  }

  bool write_multipart(Request& r, const Output& output) {
    std::vector<Piece> pieces;
    for (const Range& range : ranges_) {
      std::int64_t at = offset_;
      bool headed = false;
      for (const Piece& piece : output.pieces) {
        Piece kept;
        if (cut(piece, at, range, kept)) {
          if (!headed && range.begin >= at) pieces.push_back(Piece::memory(range.part_head));
          headed = true;
          pieces.push_back(kept);
        }
        at += static_cast<std::int64_t>(piece.size());
      }
    }
    offset_ += static_cast<std::int64_t>(output.size());
    if (output.last) pieces.push_back(Piece::memory(tail_));
    return next(r, Output{pieces, output.last, output.flush});
  }

  std::vector<Range> ranges_;
  std::string_view tail_;
  std::int64_t offset_;
  bool done_ = false;
};

bool if_range_holds(Request& r) {
  const auto* field = r.in.find(HeaderId::if_range);
  if (field == nullptr) return true;
  const std::string_view value = field->value;
  if (value.size() >= 2 && value.back() == '"') return value == r.out.headers.value(HeaderId::etag);
  if (r.out.last_modified < 0) return false;
  const auto when = parse_http_date(value);
  return when && *when == r.out.last_modified;
}

void make_multipart(Request& r, std::vector<Range>& ranges) {
  static std::uint64_t counter = static_cast<std::uint64_t>(clock().seconds()) * 1000003;
  char digits[kMaxDecimal + 1];
  char* end = print_padded(digits, ++counter, 20);
  const std::string_view boundary = r.arena.copy({digits, static_cast<std::size_t>(end - digits)});
  const std::int64_t size = r.out.content_length;
  std::string_view type;
  if (!r.out.content_type.empty()) {
    type = r.arena.concat("Content-Type: ", r.out.content_type,
                          r.out.charset.empty() ? "" : "; charset=", r.out.charset, "\r\n");
  }
  const std::string_view tail = r.arena.concat("\r\n--", boundary, "--\r\n");
  std::int64_t length = static_cast<std::int64_t>(tail.size());
  for (Range& range : ranges) {
    range.part_head = r.arena.concat("\r\n--", boundary, "\r\n", type,
                                     "Content-Range: ", content_range(r, range, size), "\r\n\r\n");
    length += static_cast<std::int64_t>(range.part_head.size()) + range.end - range.begin;
  }
  r.out.headers.remove(HeaderId::content_range);
  r.out.content_type = r.arena.concat("multipart/byteranges; boundary=", boundary);
  r.out.charset = {};
  r.out.content_length = length;
  r.add_body_filter_first<RangeBody>(std::move(ranges), tail);
}

// Of a response that ranges may be asked of.
[[gnu::noinline]] void answer_range(Request& r) {
  const PartialBody* part = r.find_ctx<PartialBody>();
  const std::int64_t offset = part != nullptr ? part->offset : 0;
  if (r.is_sub()) {
    // A further slice of what the main request has sent the head of.
    const ChosenRange* chosen = part != nullptr ? r.main->find_ctx<ChosenRange>() : nullptr;
    if (chosen == nullptr) return;
    r.add_body_filter_first<RangeBody>(std::vector<Range>{{chosen->begin, chosen->end, {}}},
                                       std::string_view(), offset);
    return;
  }
  const auto& core = r.conf<http::CoreLocation>();
  if (core.max_ranges == 0) return;
  const auto* field = r.in.find(HeaderId::range);
  if (field == nullptr || !if_range_holds(r)) return r.out.headers.set(HeaderId::accept_ranges, "bytes");
  std::vector<Range> ranges;
  std::int64_t most = core.max_ranges < 0 ? INT32_MAX : static_cast<std::int64_t>(core.max_ranges);
  if (r.out.single_range) most = 1;
  switch (parse_ranges(field->value, r.out.content_length, most, ranges)) {
    case Parsed::ignore:
      return r.out.headers.set(HeaderId::accept_ranges, "bytes");
    case Parsed::unsatisfiable:
      r.out.headers.set(HeaderId::content_range, r.arena.concat("bytes */", number(r, r.out.content_length)));
      r.replace_with_status = 416;
      return;
    case Parsed::good:
      break;
  }
  r.out.status = 206;
  r.out.status_line = {};
  if (ranges.size() > 1) return make_multipart(r, ranges);
  r.out.headers.set(HeaderId::content_range, content_range(r, ranges[0], r.out.content_length));
  r.out.content_length = ranges[0].end - ranges[0].begin;
  if (part != nullptr) {
    auto& chosen = r.ctx<ChosenRange>();
    chosen.begin = ranges[0].begin;
    chosen.end = ranges[0].end;
  }
  r.add_body_filter_first<RangeBody>(std::move(ranges), std::string_view(), offset);
}

}  // namespace

void range(Request& r) {
  if (!r.out.allow_ranges || r.out.status != 200 || r.out.content_length < 0) return;
  if (r.version >= http::Version::http10) answer_range(r);
}

}  // namespace mp::filters
