#include "filters/headers.hpp"

#include <algorithm>

#include "base/clock.hpp"
#include "base/numbers.hpp"
#include "base/strings.hpp"
#include "conf/setters.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"

namespace mp::filters {

using conf::Context;
using conf::Node;
using http::HeaderId;
using http::Request;

namespace {

struct AddedField {
  std::string_view name;
  http::Template value;
  bool always = false;
};

struct Expires {
  enum class Kind : std::uint8_t { off, epoch, max, access, modified, daily } kind = Kind::off;
  std::int64_t seconds = 0;
};

// What becomes of fields given in a surrounding block.
enum class Inherit : std::uint8_t { off, on, merge };
constexpr conf::Named<Inherit> kInherit[] = {
    {"off", Inherit::off}, {"on", Inherit::on}, {"merge", Inherit::merge}};

struct HeadersConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  std::vector<AddedField> fields;
  std::vector<AddedField> trailers;
  conf::Setting<Expires> expires;
  http::Template expires_value;  // when it has variables

  conf::Setting<Inherit> inherit_fields;
  conf::Setting<Inherit> inherit_trailers;

  static void take(std::vector<AddedField>& mine, const std::vector<AddedField>& outer, Inherit how) {
    if (how == Inherit::off || (how == Inherit::on && !mine.empty())) return;
    mine.insert(mine.end(), outer.begin(), outer.end());
  }

  // A block that sets nothing has none of these fields where they are not to be inherited.
  bool shared() const {
    return inherit_fields.get() != Inherit::off && inherit_trailers.get() != Inherit::off;
  }
  Status merge(Context&, const HeadersConf& parent) {
    inherit_fields.inherit(parent.inherit_fields, Inherit::on);
    inherit_trailers.inherit(parent.inherit_trailers, Inherit::on);
    take(fields, parent.fields, inherit_fields.get());
    take(trailers, parent.trailers, inherit_trailers.get());
    if (!expires.is_set()) expires_value = parent.expires_value;
    expires.inherit(parent.expires);
    return {};
  }
};

constexpr conf::Named<Expires::Kind> kExpiresWords[] = {
    {"epoch", Expires::Kind::epoch}, {"max", Expires::Kind::max}, {"off", Expires::Kind::off}};

// "epoch", "max", "off", "1h", "-1", "@15h30m", "modified +5m".
Result<Expires> parse_expires_value(std::string_view text, bool modified) {
  for (const auto& word : kExpiresWords) {
    if (!modified && text == word.name) return Expires{word.value};
  }
  const bool daily = text.starts_with('@');
  if (daily && modified) return fail("daily time cannot be used with \"modified\" parameter");
  if (daily) text.remove_prefix(1);
  bool minus = false;
  if (!daily) {
    minus = text.starts_with('-');
    if (minus || text.starts_with('+')) text.remove_prefix(1);
  }
  const auto seconds = parse_seconds(text);
  if (!seconds) return fail("invalid value");
  if (daily && *seconds > 24 * 60 * 60) return fail("daily time value must be less than 24 hours");
  const auto kind = daily ? Expires::Kind::daily : modified ? Expires::Kind::modified : Expires::Kind::access;
  return Expires{kind, minus ? -*seconds : *seconds};
}

Status parse_expires(Context& ctx, const Node& node) {
  auto& c = ctx.conf<HeadersConf>();
  if (c.expires.is_set()) return fail("is duplicate");
  const bool modified = node.args.size() == 2;
  if (modified && node.args[0].text != "modified") return fail("invalid value");
  const conf::Arg& value = node.args.back();
  auto compiled = http::Template::compile(ctx, value.text);
  if (!compiled) return ctx.error(value, compiled.error().text);
  if (!compiled->constant()) {
    c.expires.set({modified ? Expires::Kind::modified : Expires::Kind::access});
    c.expires_value = std::move(*compiled);
    return {};
  }
  const auto expires = parse_expires_value(value.text, modified);
  if (!expires) return fail(expires.error());
  c.expires.set(*expires);
  return {};
}

template <std::vector<AddedField> HeadersConf::* Fields>
Status parse_add(Context& ctx, const Node& node) {
  AddedField field;
  field.name = node.args[0].text;
  auto value = http::Template::compile(ctx, node.args[1].text);
  if (!value) return ctx.error(node.args[1], value.error().text);
  field.value = std::move(*value);
  if (node.args.size() == 3) {
    if (node.args[2].text != "always") {
      return ctx.error(node.args[2], "invalid parameter \"" + std::string(node.args[2].text) + "\"");
    }
    field.always = true;
  }
  (ctx.conf<HeadersConf>().*Fields).push_back(std::move(field));
  return {};
}

bool safe_status(int status) {
  switch (status) {
    case 200:
    case 201:
    case 204:
    case 206:
    case 301:
    case 302:
    case 303:
    case 304:
    case 307:
    case 308:
      return true;
    default:
      return false;
  }
}

void add_field(Request& r, const AddedField& field, std::string_view value) {
  const HeaderId id = http::header_id(field.name);
  if (id == HeaderId::last_modified) {
    r.out.headers.remove(id);
    const auto when = parse_http_date(value);
    r.out.last_modified = value.empty() ? -1 : when.value_or(-1);
    if (!value.empty() && !when) r.out.headers.add(field.name, value);
    return;
  }
  if (id == HeaderId::etag)
    return value.empty() ? void(r.out.headers.remove(id)) : r.out.headers.set(id, value);
  if (value.empty()) return;
  // A field of one of these names stands beside the server's own, and is sent as it is.
  const bool beside = id == HeaderId::server || id == HeaderId::date || id == HeaderId::location ||
                      id == HeaderId::accept_ranges;
  r.out.headers.add({field.name, value, beside ? HeaderId::unknown : id});
}

void set_expires(Request& r, const HeadersConf& c) {
  Expires expires = c.expires.get();
  if (!c.expires_value.empty()) {
    const bool modified = expires.kind == Expires::Kind::modified;
    const auto told = parse_expires_value(c.expires_value.evaluate(r), modified);
    if (!told) return;
    expires = *told;
  }
  if (expires.kind == Expires::Kind::off) return;
  auto& headers = r.out.headers;
  if (expires.kind == Expires::Kind::epoch) {
    headers.set(HeaderId::expires, "Thu, 01 Jan 1970 00:00:01 GMT");
    return headers.set(HeaderId::cache_control, "no-cache");
  }
  if (expires.kind == Expires::Kind::max) {
    headers.set(HeaderId::expires, "Thu, 31 Dec 2037 23:55:55 GMT");
    return headers.set(HeaderId::cache_control, "max-age=315360000");
  }
  const std::int64_t now = clock().seconds();
  std::int64_t at = now + expires.seconds;
  if (expires.kind == Expires::Kind::modified && expires.seconds != 0 && r.out.last_modified >= 0)
    at = r.out.last_modified + expires.seconds;
  if (expires.kind == Expires::Kind::daily) {
    const std::int64_t local = now + clock().gmtoff_minutes() * 60;
    const std::int64_t midnight = now - local % 86400;
    at = midnight + expires.seconds;
    if (at <= now) at += 86400;
  }
  char date[kHttpDateSize];
  write_http_date(date, at);
  headers.set(HeaderId::expires, r.arena.copy({date, kHttpDateSize}));
  const std::int64_t age = at - now;
  if (age < 0 || expires.seconds < 0) return headers.set(HeaderId::cache_control, "no-cache");
  char digits[kMaxDecimal];
  const std::string_view text{digits, static_cast<std::size_t>(print(digits, age) - digits)};
  headers.set(HeaderId::cache_control, r.arena.concat("max-age=", text));
}

constexpr conf::Directive kDirectives[] = {
    {.name = "expires",
     .where = conf::kHttpServerLocationIf,
     .args = conf::between(1, 2),
     .parse = parse_expires},
    {.name = "add_header",
     .where = conf::kHttpServerLocationIf,
     .args = conf::between(2, 3),
     .parse = parse_add<&HeadersConf::fields>},
    {.name = "add_trailer",
     .where = conf::kHttpServerLocationIf,
     .args = conf::between(2, 3),
     .parse = parse_add<&HeadersConf::trailers>},
    {.name = "add_header_inherit",
     .where = conf::kHttpServerLocationIf,
     .args = conf::exactly(1),
     .parse = conf::set_enum<&HeadersConf::inherit_fields, kInherit>},
    {.name = "add_trailer_inherit",
     .where = conf::kHttpServerLocationIf,
     .args = conf::exactly(1),
     .parse = conf::set_enum<&HeadersConf::inherit_trailers, kInherit>},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<HeadersConf>()};

// Trailer fields are worth what their variables are when the body has ended.
class TrailerBody final : public http::BodyFilter {
 public:
  explicit TrailerBody(const HeadersConf& c) : conf_(c) {}
  bool write(Request& r, const http::Output& output) override {
    if (output.last) {
      for (const AddedField& field : conf_.trailers) {
        if (!field.always && !safe_status(r.out.status)) continue;
        const std::string_view value = field.value.evaluate(r);
        if (!value.empty()) r.out.trailers.add(field.name, value);
      }
    }
    return next(r, output);
  }

 private:
  const HeadersConf& conf_;
};

}  // namespace

void headers(Request& r) {
  if (r.is_sub()) return;
  const auto& c = r.conf<HeadersConf>();
  const bool safe = safe_status(r.out.status);
  if (safe && c.expires.is_set()) set_expires(r, c);
  for (const AddedField& field : c.fields) {
    if (safe || field.always) add_field(r, field, field.value.evaluate(r));
  }
}

void trailers(Request& r) {
  if (r.is_sub()) return;
  const auto& c = r.conf<HeadersConf>();
  if (c.trailers.empty() || r.header_only || r.version < http::Version::http11) return;
  const bool any = safe_status(r.out.status) || std::any_of(c.trailers.begin(), c.trailers.end(),
                                                            [](const AddedField& f) { return f.always; });
  if (!any) return;
  r.clear_content_length();  // a body of known length has no trailer part
  r.add_body_filter<TrailerBody>(c);
}

const conf::Module kHeadersModule = {.name = "http_headers", .directives = kDirectives, .confs = kConfs};

}  // namespace mp::filters
