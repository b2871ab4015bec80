#include "upstream/sticky.hpp"

#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "base/ascii.hpp"
#include "base/clock.hpp"
#include "base/digest.hpp"
#include "base/numbers.hpp"
#include "base/shm/key_table.hpp"
#include "base/strings.hpp"
#include "conf/configuration.hpp"
#include "conf/process_conf.hpp"
#include "conf/setters.hpp"
#include "http/core_conf.hpp"
#include "upstream/upstream.hpp"

namespace mp::upstream {
namespace {

using conf::Arg;
using conf::Context;
using conf::Node;
using http::Request;

using Names = std::vector<const http::Variable*>;

// The first of the variables that has a value.
std::string_view first_value(Request& r, const Names& names) {
  for (const http::Variable* name : names) {
    const http::Value& value = r.fresh_variable(*name);
    if (value.found && !value.text.empty()) return value.text;
  }
  return {};
}

// ---- sticky cookie: the peer's name is in a cookie of ours. sticky route: in whatever the variables say.

struct CookieShape {
  static constexpr std::int64_t kForever = -2;
  std::string_view name;
  http::Template domain;
  std::string_view path;
  std::optional<std::int64_t> expires;
  http::Template samesite;
  bool httponly = false;
  bool secure = false;
};

bool is_samesite(std::string_view value) {
  return equals_nocase(value, "strict") || equals_nocase(value, "lax") || equals_nocase(value, "none");
}

class NamedSession final : public StickySession {
 public:
  NamedSession(Request& request, const Names& lookup, const CookieShape* cookie)
      : r_(request), cookie_(cookie), id_(first_value(request, lookup)) {}

  std::string_view hint() override { return id_; }
  void picked(std::string_view sid) override {
    if (cookie_ == nullptr || sid.empty()) return;
    const std::string_view before = std::exchange(sent_, make_cookie(sid));
    for (http::HeaderField& field : r_.out.headers) {
      if (field.id == http::HeaderId::set_cookie && field.value.data() == before.data()) {
        field.value = sent_;
        return;
      }
    }
    r_.out.headers.add(http::HeaderId::set_cookie, sent_);
  }

 private:
  std::string_view make_cookie(std::string_view sid) {
    std::string text(cookie_->name);
    text.append("=").append(sid);
    if (cookie_->expires == CookieShape::kForever) {
      text.append("; expires=Thu, 31-Dec-37 23:55:55 GMT; max-age=315360000");
    } else if (cookie_->expires) {
      char date[40];
      const std::size_t size = write_cookie_date(date, clock().seconds() + *cookie_->expires);
      text.append("; expires=").append(date, size);
      text.append("; max-age=").append(std::to_string(*cookie_->expires));
    }
    if (const std::string_view domain = cookie_->domain.evaluate(r_); !domain.empty()) {
      text.append("; domain=").append(domain);
    }
    if (cookie_->httponly) text.append("; httponly");
    if (cookie_->secure) text.append("; secure");
    if (std::string_view value = cookie_->samesite.evaluate(r_); !value.empty()) {
      text.append("; samesite=").append(is_samesite(value) ? value : "strict");
    }
    if (!cookie_->path.empty()) text.append("; path=").append(cookie_->path);
    return r_.arena.copy(text);
  }

  Request& r_;
  const CookieShape* cookie_;
  std::string_view id_;
  std::string_view sent_;
};

class NamedSticky final : public Sticky {
 public:
  StickySession* make(Request& r) const override {
    return r.arena.make<NamedSession>(r, lookup, cookie ? &*cookie : nullptr);
  }
  Names lookup;
  std::optional<CookieShape> cookie;
};

// ---- sticky learn: the peers of sessions that upstream servers make are remembered in a zone

struct Session {
  std::int64_t last;  // milliseconds of the wall clock
  char sid[kSidSize];
  std::uint8_t sid_size;
};

class SessionZone {
 public:
  static constexpr char kTag = 0;
  using Table = KeyTable<Session>;

  SessionZone(std::string_view name, std::string_view host, std::int64_t timeout)
      : name_(name), host_(host), timeout_(timeout) {}
  std::string_view host() const { return host_; }
  void attach(Zone& zone, bool fresh) { table_.emplace(zone, fresh); }

  // The peer of a session, in the arena of the request; empty: not known.
  std::string_view find(Request& r, std::string_view id) {
    Table::Session table(*table_);
    const auto sum = md5(id);
    Table::Entry* entry = table.find({reinterpret_cast<const char*>(sum.data()), sum.size()});
    if (entry == nullptr || expired(*entry)) return {};
    return r.arena.copy({entry->payload.sid, entry->payload.sid_size});
  }

  void note(Request& r, std::string_view id, std::string_view sid, bool may_create) {
    Table::Session table(*table_);
    while (Table::Entry* oldest = table.oldest()) {
      if (!expired(*oldest)) break;
      table.remove(oldest);
    }
    const auto sum = md5(id);
    const std::string_view key{reinterpret_cast<const char*>(sum.data()), sum.size()};
    Table::Entry* entry = table.find(key);
    if (entry != nullptr && expired(*entry)) {  // over, though it was looked for lately
      table.remove(entry);
      entry = nullptr;
    }
    if (entry == nullptr && may_create) entry = create(r, table, key);
    if (entry == nullptr) return;
    entry->payload.last = now();
    entry->payload.sid_size = static_cast<std::uint8_t>(sid.copy(entry->payload.sid, kSidSize));
  }

 private:
  static std::int64_t now() { return static_cast<std::int64_t>(clock().monotonic_ms()); }
  bool expired(const Table::Entry& entry) const { return now() - entry.payload.last >= timeout_; }

  Table::Entry* create(Request& r, Table::Session& table, std::string_view key) {
    Table::Entry* entry = table.insert(key);
    if (entry != nullptr) return entry;
    log::warn(r.logger,
              "could not allocate node in sticky session zone \"{}\", expiring least recently used session",
              name_);
    if (Table::Entry* oldest = table.oldest()) table.remove(oldest);
    entry = table.insert(key);
    if (entry == nullptr)
      log::alert(r.logger, "could not allocate node in sticky session zone \"{}\"", name_);
    return entry;
  }

  std::string_view name_;
  std::string_view host_;  // the upstream
  std::int64_t timeout_;
  std::optional<Table> table_;
};

class LearnSticky;

class LearnedSession final : public StickySession {
 public:
  LearnedSession(Request& request, const LearnSticky& sticky);
  std::string_view hint() override;
  void head_came(std::string_view sid) override;
  void done(std::string_view sid) override;

 private:
  void learn(std::string_view sid);
  Request& r_;
  const LearnSticky& sticky_;
  std::string_view id_;
};

class LearnSticky final : public Sticky {
 public:
  StickySession* make(Request& r) const override { return r.arena.make<LearnedSession>(r, *this); }
  Names lookup, create;
  bool after_head = false;
  SessionZone* zone = nullptr;
};

LearnedSession::LearnedSession(Request& request, const LearnSticky& sticky)
    : r_(request), sticky_(sticky), id_(first_value(request, sticky.lookup)) {}

std::string_view LearnedSession::hint() {
  return id_.empty() ? id_ : sticky_.zone->find(r_, id_);
}
void LearnedSession::head_came(std::string_view sid) {
  if (sticky_.after_head) learn(sid);
}
void LearnedSession::done(std::string_view sid) {
  if (!sticky_.after_head) learn(sid);
}

void LearnedSession::learn(std::string_view sid) {
  if (sid.empty()) return;
  const std::string_view made = first_value(r_, sticky_.create);
  if (!made.empty()) return sticky_.zone->note(r_, made, sid, true);
  if (!id_.empty()) sticky_.zone->note(r_, id_, sid, false);
}

// ---- the directive

Result<const http::Variable*> variable_of(Context& ctx, const Arg& arg, std::string_view text) {
  if (!text.starts_with('$')) return ctx.error(arg, "invalid variable name \"" + std::string(text) + "\"");
  return ctx.conf<http::CoreMain>().variables.resolve(text.substr(1));
}

Status once(bool& seen, std::string_view name) {
  if (seen) return fail("parameter \"" + std::string(name) + "\" is duplicate");
  seen = true;
  return {};
}

struct Seen {
  bool domain = false, path = false, expires = false, httponly = false, secure = false, samesite = false;
};

Status read_cookie_parameter(Context& ctx, const Arg& arg, CookieShape& cookie, Seen& seen) {
  std::string_view text = arg.text;
  if (consume(text, "domain=") || consume(text, "samesite=")) {
    const bool domain = arg.text.starts_with("domain=");
    TRY(once(domain ? seen.domain : seen.samesite, domain ? "domain" : "samesite"));
    if (domain && text.empty()) return fail("no value for \"domain\"");
    auto value = http::Template::compile(ctx, text);
    if (!value) return ctx.error(arg, value.error().text);
    if (!domain && value->constant() && !is_samesite(text)) {
      return fail("invalid \"samesite\" parameter value");
    }
    (domain ? cookie.domain : cookie.samesite) = std::move(*value);
    return {};
  }
  if (consume(text, "path=")) {
    TRY(once(seen.path, "path"));
    if (text.empty()) return fail("no value for \"path\"");
    cookie.path = text;
    return {};
  }
  if (consume(text, "expires=")) {
    TRY(once(seen.expires, "expires"));
    const auto seconds = text == "max" ? std::optional(CookieShape::kForever) : parse_seconds(text);
    if (!seconds) return fail("invalid \"expires\" parameter value");
    cookie.expires = *seconds;
    return {};
  }
  if (text == "httponly" || text == "secure") {
    const bool secure = text == "secure";
    (secure ? cookie.secure : cookie.httponly) = true;
    return once(secure ? seen.secure : seen.httponly, text);
  }
  return ctx.error(arg, "unknown parameter \"" + std::string(text) + "\"");
}

Status parse_cookie(Context& ctx, const Node& node, NamedSticky& sticky) {
  const Arg& name = node.args[1];
  if (name.text.empty()) return fail("empty cookie name");
  CookieShape& cookie = sticky.cookie.emplace();
  cookie.name = name.text;
  Seen seen;
  for (const Arg& arg : node.args.subspan(2)) TRY(read_cookie_parameter(ctx, arg, cookie, seen));
  auto variable = variable_of(ctx, name, ctx.arena().concat("$cookie_", name.text));
  if (!variable) return fail(variable.error());
  sticky.lookup.push_back(*variable);
  return {};
}

struct ZoneWish {
  std::string_view name;
  std::int64_t size = 0;
  std::optional<std::int64_t> timeout;
};

Status read_zone(std::string_view text, ZoneWish& wish) {
  if (wish.size != 0) return fail("duplicate zone");
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return fail("zone size is not specified");
  wish.name = text.substr(0, colon);
  if (wish.name.empty()) return fail("zone name is not specified");
  const auto size = parse_size(text.substr(colon + 1));
  if (!size) return fail("invalid zone size");
  constexpr std::int64_t kLeast = 8 * static_cast<std::int64_t>(kShmPage);
  if (*size < kLeast) return fail("zone is too small");
  wish.size = *size;
  return {};
}

Status read_learn_parameter(Context& ctx, const Arg& arg, LearnSticky& sticky, ZoneWish& wish) {
  std::string_view text = arg.text;
  if (consume(text, "zone=")) return read_zone(text, wish);
  if (consume(text, "timeout=")) {
    if (wish.timeout) return fail("duplicate timeout");
    wish.timeout = parse_milliseconds(text);
    if (!wish.timeout || *wish.timeout == 0) return fail("invalid timeout");
    return {};
  }
  const bool create = arg.text.starts_with("create=");
  if (consume(text, "create=") || consume(text, "lookup=")) {
    if (!text.starts_with('$')) {
      return fail(fmt::format("missing variable in the \"{}\" parameter", create ? "create" : "lookup"));
    }
    auto variable = variable_of(ctx, arg, text);
    if (!variable) return fail(variable.error());
    (create ? sticky.create : sticky.lookup).push_back(*variable);
    return {};
  }
  if (text != "header") return ctx.error(arg, "unknown parameter \"" + std::string(text) + "\"");
  sticky.after_head = true;
  return {};
}

Status attach_zone(Zone& zone, const Zone* previous) {
  SessionZone& mine = *zone.owner<SessionZone>();
  if (previous != nullptr) {
    const SessionZone& before = *previous->owner<SessionZone>();
    if (before.host() != mine.host()) {
      return fail("sticky zone \"" + std::string(zone.name()) + "\" is used in upstream \"" +
                  std::string(mine.host()) + "\" while previously it was used in upstream \"" +
                  std::string(before.host()) + "\"");
    }
  }
  mine.attach(zone, previous == nullptr);
  return {};
}

Status parse_learn(Context& ctx, const Node& node, LearnSticky& sticky) {
  ZoneWish wish;
  for (const Arg& arg : node.args.subspan(1)) TRY(read_learn_parameter(ctx, arg, sticky, wish));
  if (sticky.lookup.empty()) return fail("\"lookup\" parameter is not specified");
  if (sticky.create.empty()) return fail("\"create\" parameter is not specified");
  if (wish.size == 0) return fail("\"zone\" parameter is not specified");
  auto& zones = ctx.configuration().root().get<conf::ProcessWide>().zones;
  const auto declared = zones.declare(wish.name, static_cast<std::size_t>(wish.size), &SessionZone::kTag);
  if (!declared) return ctx.error(node, declared.error().text);
  Zone& zone = **declared;
  if (const auto* other = zone.owner<SessionZone>()) {
    return ctx.error(node, "sticky zone \"" + std::string(wish.name) + "\" is already used in upstream \"" +
                               std::string(other->host()) + "\"");
  }
  constexpr std::int64_t kTenMinutes = 600000;
  auto owner = std::make_shared<SessionZone>(zone.name(), ctx.conf<UpstreamBlock>().upstream->host,
                                             wish.timeout.value_or(kTenMinutes));
  sticky.zone = owner.get();
  zone.set_owner(std::move(owner));
  zone.on_attach(SessionZone::Table::index_bytes(static_cast<std::size_t>(wish.size)), attach_zone);
  return {};
}

}  // namespace

Status parse_sticky(Context& ctx, const Node& node) {
  Upstream& upstream = *ctx.conf<UpstreamBlock>().upstream;
  if (upstream.sticky != nullptr) return conf::duplicate();
  const Arg& kind = node.args[0];
  if (kind.text == "learn") {
    auto made = std::make_unique<LearnSticky>();
    TRY(parse_learn(ctx, node, *made));
    upstream.sticky = std::move(made);
    return {};
  }
  auto made = std::make_unique<NamedSticky>();
  if (kind.text == "cookie") {
    TRY(parse_cookie(ctx, node, *made));
  } else if (kind.text == "route") {
    for (const Arg& arg : node.args.subspan(1)) {
      auto variable = variable_of(ctx, arg, arg.text);
      if (!variable) return fail(variable.error());
      made->lookup.push_back(*variable);
    }
  } else {
    return ctx.error(kind, "unknown parameter \"" + std::string(kind.text) + "\"");
  }
  upstream.sticky = std::move(made);
  return {};
}

}  // namespace mp::upstream
