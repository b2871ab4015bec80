#include "filters/userid.hpp"

#include <array>
#include <cstring>
#include <string>
#include <utility>

#include <arpa/inet.h>
#include <fmt/core.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/ascii.hpp"
#include "base/base64.hpp"
#include "base/clock.hpp"
#include "base/numbers.hpp"
#include "conf/setters.hpp"
#include "http/cookies.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"

namespace mp::filters {

using conf::Context;
using conf::Node;
using http::Request;
using http::Value;
using http::Variable;

namespace {

enum class UseridMode : std::uint8_t { off, log, v1, on };

enum CookieFlag : std::uint32_t {
  kFlagsOff = 1,
  kSecure = 2,
  kHttpOnly = 4,
  kSameSiteStrict = 8,
  kSameSiteLax = 16,
  kSameSiteNone = 32,
};

constexpr std::int64_t kForever = -1;

struct UseridConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  conf::Setting<UseridMode> mode;
  conf::Setting<std::int64_t> service;
  conf::Setting<std::string_view> name;
  conf::Setting<std::string_view> domain;
  conf::Setting<std::string_view> path;
  conf::Setting<std::string_view> p3p;
  conf::Setting<std::int64_t> expires;  // seconds; 0: with the session
  conf::Setting<char> mark;
  conf::Setting<std::uint32_t> flags;

  Status merge(Context&, const UseridConf& parent) {
    mode.inherit(parent.mode, UseridMode::off);
    service.inherit(parent.service);
    name.inherit(parent.name, "uid");
    domain.inherit(parent.domain, "none");
    path.inherit(parent.path, "/");
    p3p.inherit(parent.p3p, "none");
    expires.inherit(parent.expires, 0);
    mark.inherit(parent.mark, '\0');
    flags.inherit(parent.flags, kFlagsOff);
    return {};
  }
};

using Uid = std::array<std::uint32_t, 4>;
constexpr std::size_t kEncoded = 22;  // characters that hold the sixteen bytes

// What the client sent and what it is going to get; a zero in the last number: nothing.
struct UseridState {
  bool read = false;
  bool reset = false;
  Uid got{};
  Uid set{};
  std::string_view cookie;
};

// ---- the directives

Status parse_expires(Context& ctx, const Node& node) {
  auto& setting = ctx.conf<UseridConf>().expires;
  if (setting.is_set()) return conf::duplicate();
  const std::string_view text = node.args[0].text;
  if (text == "max") return setting.set(kForever), Status();
  if (text == "off") return setting.set(0), Status();
  const auto seconds = parse_seconds(text);
  if (!seconds) return fail("invalid value");
  setting.set(*seconds);
  return {};
}

Status parse_mark(Context& ctx, const Node& node) {
  auto& setting = ctx.conf<UseridConf>().mark;
  if (setting.is_set()) return conf::duplicate();
  const std::string_view text = node.args[0].text;
  if (text == "off") return setting.set('\0'), Status();
  if (text.size() != 1 || !(is_alpha(text[0]) || is_digit(text[0]) || text[0] == '=')) {
    return fail("value must be \"off\" or a single letter, digit or \"=\"");
  }
  setting.set(text[0]);
  return {};
}

// ---- the names

UseridState& state_of(Request& r) {
  auto& state = r.ctx<UseridState>();
  if (std::exchange(state.read, true)) return state;
  const auto cookie = http::find_cookie(r.in, r.conf<UseridConf>().name.get());
  if (!cookie) return state;
  state.cookie = *cookie;
  if (cookie->size() < kEncoded) {
    log::error(r.logger, "client sent too short userid cookie \"{}\"", r.in.value(http::HeaderId::cookie));
    return state;
  }
  // What follows may be a mark, or garbage instead of the padding.
  char bytes[base64_decoded_room(kEncoded)];
  const auto end = decode_base64_into(bytes, cookie->substr(0, kEncoded));
  if (!end) {
    log::error(r.logger, "client sent invalid userid cookie \"{}\"", r.in.value(http::HeaderId::cookie));
    return state;
  }
  std::memcpy(state.got.data(), bytes, sizeof state.got);
  return state;
}

// Numbers that differ between workers and between one's requests.
struct Sequence {
  std::uint32_t start;
  std::uint32_t v1 = 1;
  std::uint32_t v2 = 0x03030302;

  Sequence() {
    timeval now{};
    gettimeofday(&now, nullptr);
    start =
        static_cast<std::uint32_t>(now.tv_usec / 20) << 16 | (static_cast<std::uint32_t>(getpid()) & 0xffff);
  }
};

Uid make_uid(Request& r, const UseridConf& c) {
  static Sequence sequence;
  const auto now = static_cast<std::uint32_t>(clock().seconds());
  const auto service = static_cast<std::uint32_t>(c.service.get());
  if (c.mode.get() == UseridMode::v1) {
    const std::uint32_t number = std::exchange(sequence.v1, sequence.v1 + 0x100);
    return {service, now, sequence.start, number};
  }
  std::uint32_t origin = htonl(service);
  if (!c.service.is_set()) {
    const net::Address& local = r.connection.local();
    origin = 0;
    if (local.is_v4() || local.is_v6()) {
      const std::string_view bytes = local.binary();
      std::memcpy(&origin, bytes.data() + bytes.size() - sizeof origin, sizeof origin);
    }
  }
  const std::uint32_t number = sequence.v2;
  sequence.v2 += 0x100;
  if (sequence.v2 < 0x03030302) sequence.v2 = 0x03030302;
  return {origin, htonl(now), htonl(sequence.start), htonl(number)};
}

std::string hex(const Uid& uid) {
  return fmt::format("{:08X}{:08X}{:08X}{:08X}", uid[0], uid[1], uid[2], uid[3]);
}

// Decides what the client gets, once.
void decide(Request& r, const UseridConf& c, UseridState& state) {
  if (state.set[3] != 0) return;
  if (state.got[3] != 0) {
    const std::string_view reset = r.variable("uid_reset").text;
    if (reset.empty() || reset == "0") {
      const char mark = c.mark.get();
      const bool marked = state.cookie.size() > kEncoded + 1 && state.cookie[kEncoded] == mark &&
                          state.cookie[kEncoded + 1] == '=';
      if (mark != '\0' && !marked) state.set = state.got;
      return;
    }
    state.reset = true;
    if (reset == "log")
      log::notice(r.logger, "userid cookie \"{}={}\" was reset", c.name.get(), hex(state.got));
  }
  state.set = make_uid(r, c);
}

std::string cookie_value(const UseridConf& c, const UseridState& state) {
  std::string text;
  const char mark = c.mark.get();
  if (state.got[3] == 0 || state.reset) {
    char encoded[base64_size(sizeof(Uid))];
    base64_into(encoded, {reinterpret_cast<const char*>(state.set.data()), sizeof state.set});
    text.assign(encoded, sizeof encoded);
    if (mark != '\0') text[kEncoded] = mark;
    return text;
  }
  text.assign(state.cookie.substr(0, kEncoded));
  text += mark;
  text += '=';
  return text;
}

std::string set_cookie_field(const UseridConf& c, const UseridState& state) {
  std::string text = fmt::format("{}={}", c.name.get(), cookie_value(c, state));
  if (c.expires.get() == kForever) {
    text += "; expires=Thu, 31-Dec-37 23:55:55 GMT";
  } else if (c.expires.get() != 0) {
    char date[kHttpDateSize];
    const std::size_t length = write_cookie_date(date, clock().seconds() + c.expires.get());
    text.append("; expires=").append(date, length);
  }
  if (c.domain.get() != "none") text.append("; domain=").append(c.domain.get());
  text.append("; path=").append(c.path.get());
  const std::uint32_t flags = c.flags.get();
  if (flags & kSecure) text += "; secure";
  if (flags & kHttpOnly) text += "; httponly";
  if (flags & kSameSiteStrict) text += "; samesite=strict";
  if (flags & kSameSiteLax) text += "; samesite=lax";
  if (flags & kSameSiteNone) text += "; samesite=none";
  return text;
}

// ---- variables

Value named(Request& r, const UseridConf& c, const Uid& uid) {
  if (uid[3] == 0) return Value::none();
  return Value::of(r.arena.concat(c.name.get(), "=", hex(uid)));
}

Value uid_got(Request& r, const Variable&) {
  Request& client = *r.main;
  const auto& c = client.conf<UseridConf>();
  if (c.mode.get() == UseridMode::off) return Value::none();
  return named(r, c, state_of(client).got);
}

Value uid_set(Request& r, const Variable&) {
  Request& client = *r.main;
  const auto& c = client.conf<UseridConf>();
  if (c.mode.get() < UseridMode::v1) return Value::none();
  UseridState& state = state_of(client);
  decide(client, c, state);
  return named(r, c, state.set);
}

Status define_variables(Context& ctx) {
  static constexpr Variable kVariables[] = {
      {.name = "uid_got", .get = uid_got},
      {.name = "uid_set", .get = uid_set},
      {.name = "uid_reset",
       .get = [](Request&, const Variable&) { return Value::of(""); },
       .changeable = true},
  };
  ctx.conf<http::CoreMain>().variables.define(kVariables);
  return {};
}

constexpr conf::Named<UseridMode> kModes[] = {
    {"off", UseridMode::off}, {"log", UseridMode::log}, {"v1", UseridMode::v1}, {"on", UseridMode::on}};
constexpr conf::Named<std::uint32_t> kFlags[] = {{"off", kFlagsOff},
                                                 {"secure", kSecure},
                                                 {"httponly", kHttpOnly},
                                                 {"samesite=strict", kSameSiteStrict},
                                                 {"samesite=lax", kSameSiteLax},
                                                 {"samesite=none", kSameSiteNone}};

constexpr conf::Scope kScopes = conf::kHttpServerLocation;
constexpr conf::Directive kDirectives[] = {
    {.name = "userid",
     .where = kScopes,
     .args = conf::exactly(1),
     .parse = conf::set_enum<&UseridConf::mode, kModes>},
    {.name = "userid_service",
     .where = kScopes,
     .args = conf::exactly(1),
     .parse = conf::set<&UseridConf::service>},
    {.name = "userid_name",
     .where = kScopes,
     .args = conf::exactly(1),
     .parse = conf::set<&UseridConf::name>},
    {.name = "userid_domain",
     .where = kScopes,
     .args = conf::exactly(1),
     .parse = conf::set<&UseridConf::domain>},
    {.name = "userid_path",
     .where = kScopes,
     .args = conf::exactly(1),
     .parse = conf::set<&UseridConf::path>},
    {.name = "userid_p3p", .where = kScopes, .args = conf::exactly(1), .parse = conf::set<&UseridConf::p3p>},
    {.name = "userid_expires", .where = kScopes, .args = conf::exactly(1), .parse = parse_expires},
    {.name = "userid_mark", .where = kScopes, .args = conf::exactly(1), .parse = parse_mark},
    {.name = "userid_flags",
     .where = kScopes,
     .args = conf::between(1, 3),
     .parse = conf::set_bits<&UseridConf::flags, kFlags>},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<UseridConf>()};

}  // namespace

void userid(Request& r) {
  if (r.is_sub()) return;
  const auto& c = r.conf<UseridConf>();
  if (c.mode.get() < UseridMode::v1) return;
  UseridState& state = state_of(r);
  decide(r, c, state);
  if (state.set[3] == 0) return;
  r.out.headers.add(http::HeaderId::set_cookie, r.arena.copy(set_cookie_field(c, state)));
  if (c.p3p.get() != "none") r.out.headers.add(http::HeaderId::p3p, c.p3p.get());
}

const conf::Module kUseridModule = {
    .name = "http_userid", .directives = kDirectives, .confs = kConfs, .before_http = define_variables};

}  // namespace mp::filters
