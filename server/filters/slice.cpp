#include "filters/slice.hpp"

#include <algorithm>
#include <optional>
#include <string>

#include "base/numbers.hpp"
#include "base/strings.hpp"
#include "conf/setters.hpp"
#include "filters/range.hpp"
#include "http/core_conf.hpp"
#include "http/include_point.hpp"
#include "http/subrequest.hpp"

namespace mp::filters {

using http::HeaderId;
using http::Output;
using http::Request;

namespace {

struct SliceConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  conf::Setting<conf::Size> size;
  Status merge(conf::Context&, const SliceConf& parent) {
    size.inherit(parent.size, 0);
    return {};
  }
};

// Whether any block has the directive: without it, no request takes part in one.
struct SliceMain {
  static constexpr conf::Level kLevel = conf::Level::main;
  bool used = false;
};

// One sliced response; in the arena of the main request.
struct Slicing {
  std::int64_t size = 0;
  std::int64_t start = 0;  // of the part being asked for, or coming next
  std::int64_t end = 0;    // of what the client gets
  std::string_view etag;
  bool answered = false;  // the present part came with a good head
  bool refused = false;   // it came with a bad one
};

// How a request takes part in one.
struct SliceRef {
  Slicing* slicing = nullptr;
};

std::string_view range_text(Request& r, const Slicing& s) {
  return r.arena.concat("bytes=", std::string_view(std::to_string(s.start)), "-",
                        std::string_view(std::to_string(s.start + s.size - 1)));
}

// Where the client's range begins, when it is one that a part can begin with.
std::int64_t first_byte(Request& r) {
  if (r.in.find(HeaderId::if_range) != nullptr) return 0;
  std::string_view text = r.in.value(HeaderId::range);
  if (!starts_with_nocase(text, "bytes=") || text.find(',') != std::string_view::npos) return 0;
  text = trim(text.substr(6));
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  return parse_natural<std::int64_t>(text.substr(0, digits)).value_or(0);
}

http::Value slice_range(Request& r, const http::Variable&) {
  SliceRef* ref = r.find_ctx<SliceRef>();
  if (ref == nullptr || ref->slicing == nullptr) {
    const auto size = static_cast<std::int64_t>(r.conf<SliceConf>().size.get());
    if (r.is_sub() || r.out.status != 0 || size == 0) return http::Value::none();
    ref = &r.ctx<SliceRef>();
    ref->slicing = r.arena.make<Slicing>();
    ref->slicing->size = size;
    ref->slicing->start = size * (first_byte(r) / size);
  }
  return http::Value::volatile_(range_text(r, *ref->slicing));
}

struct ContentRange {
  std::int64_t start, end, whole;  // whole -1: not told
};

// "bytes 0-99/1000"
std::optional<ContentRange> parse_content_range(std::string_view text) {
  if (!consume(text, "bytes ")) return std::nullopt;
  const std::size_t dash = text.find('-'), slash = text.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || slash < dash) return std::nullopt;
  const auto start = parse_natural<std::int64_t>(trim(text.substr(0, dash)));
  const auto last = parse_natural<std::int64_t>(trim(text.substr(dash + 1, slash - dash - 1)));
  const std::string_view length = trim(text.substr(slash + 1));
  const auto whole = length == "*" ? std::optional<std::int64_t>(-1) : parse_natural<std::int64_t>(length);
  if (!start || !last || !whole) return std::nullopt;
  return ContentRange{*start, *last + 1, *whole};
}

// Checks the head of a part and notes what it says; false: it does not belong to the others.
bool accept_part(Request& r, Slicing& s) {
  const std::string_view etag = r.out.headers.value(HeaderId::etag);
  if (!s.etag.empty() && etag != s.etag) {
    log::error(r.logger, "etag mismatch in slice response");
    return false;
  }
  const auto range = parse_content_range(r.out.headers.value(HeaderId::content_range));
  if (!range) {
    log::error(r.logger, "invalid range in slice response");
    return false;
  }
  if (range->whole < 0) {
    log::error(r.logger, "no complete length in slice response");
    return false;
  }
  const std::int64_t end = std::min(range->start + s.size, range->whole);
  if (range->start != s.start || range->end != end) {
    log::error(r.logger, "unexpected range in slice response: {}-{}", range->start, range->end);
    return false;
  }
  if (s.etag.empty() && !etag.empty()) s.etag = r.main->arena.copy(etag);
  s.start = end;
  s.end = range->whole;
  s.answered = true;
  r.out.content_length = range->whole;
  r.ctx<PartialBody>().offset = range->start;
  return true;
}

class SliceBody final : public http::BodyFilter {
 public:
  explicit SliceBody(Slicing& slicing) : s_(slicing) {}

  bool write(Request& r, const Output& output) override {
    if (!output.last) return next(r, output);
    if (!output.pieces.empty() && !next(r, Output{output.pieces, false, false})) return false;
    choose_end(r);
    while (s_.start < s_.end) {
      if (!fetch(r)) return false;
    }
    return next(r, Output{{}, true, false});
  }

 private:
  class Below final : public http::Sink {
   public:
    Below(SliceBody& filter, Request& r) : filter_(filter), r_(r) {}
    bool send_head(Request&, bool) override { return true; }
    bool send_body(Request&, const Output& output) override {
      complete |= output.last;
      if (output.pieces.empty() && !output.flush) return true;
      return filter_.next(r_, Output{output.pieces, false, output.flush});
    }
    bool complete = false;

   private:
    SliceBody& filter_;
    Request& r_;
  };

  // A range of the client's may begin and end anywhere.
  void choose_end(Request& r) {
    const ChosenRange* range = r.find_ctx<ChosenRange>();
    if (range == nullptr) return;
    if (s_.start + s_.size <= range->begin) s_.start = s_.size * (range->begin / s_.size);
    s_.end = range->end;
  }

  bool fetch(Request& r) {
    s_.answered = s_.refused = false;
    Below below(*this, r);
    http::SubrequestOptions options;
    options.clone = true;
    options.share_variables = true;
    options.prepare = [this](Request& sub) { sub.ctx<SliceRef>().slicing = &s_; };
    http::run_subrequest(r, r.uri, options, below);
    if (r.aborted) return false;
    if (s_.answered && below.complete) return true;
    if (!s_.answered && !s_.refused) log::error(r.logger, "missing slice response");
    return false;
  }

  Slicing& s_;
};

Status parse_slice(conf::Context& ctx, const conf::Node& node) {
  ctx.conf<SliceMain>().used = true;
  return conf::set<&SliceConf::size>(ctx, node);
}

constexpr conf::Directive kDirectives[] = {
    {.name = "slice", .where = conf::kHttpServerLocation, .args = conf::exactly(1), .parse = parse_slice},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<SliceMain>(), conf::conf_type<SliceConf>()};

Status before_http(conf::Context& ctx) {
  ctx.conf<http::CoreMain>().variables.define(
      http::Variable{.name = "slice_range", .get = slice_range, .cacheable = false});
  return {};
}

}  // namespace

bool wants_slice(const conf::Sets& sets) {
  return sets.get<SliceMain>().used;
}

void slice_head(Request& r) {
  SliceRef* ref = r.find_ctx<SliceRef>();
  if (ref == nullptr || ref->slicing == nullptr) return;
  if (r.out.status != 206) {
    if (!r.is_sub()) {
      r.drop_ctx<SliceRef>();
      return;
    }
    log::error(r.logger, "unexpected status code {} in slice response", r.out.status);
    ref->slicing->refused = true;
    r.aborted = true;
    return;
  }
  if (!accept_part(r, *ref->slicing)) {
    ref->slicing->refused = true;
    r.aborted = true;
    return;
  }
  r.out.status = 200;
  r.out.status_line = {};
  r.out.headers.remove(HeaderId::content_range);
  r.out.headers.remove(HeaderId::accept_ranges);
  r.out.allow_ranges = true;
  r.out.single_range = true;
}

void slice_body(Request& r) {
  const SliceRef* ref = r.find_ctx<SliceRef>();
  if (ref == nullptr || ref->slicing == nullptr || r.is_sub() || r.aborted) return;
  r.add_body_filter<SliceBody>(*ref->slicing);
}

const conf::Module kSliceModule = {
    .name = "http_slice", .directives = kDirectives, .confs = kConfs, .before_http = before_http};

}  // namespace mp::filters
