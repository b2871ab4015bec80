#include "filters/charset.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ascii.hpp"
#include "base/numbers.hpp"
#include "base/strings.hpp"
#include "base/utf8.hpp"
#include "conf/setters.hpp"
#include "filters/rewriting_body.hpp"
#include "http/content_type.hpp"
#include "http/core_conf.hpp"
#include "http/mime_setting.hpp"

namespace mp::filters {

using conf::Context;
using conf::Node;
using http::Request;

namespace {

constexpr std::string_view kUtf8 = "utf-8";
constexpr std::string_view kDefaultTypes[] = {
    "text/html",          "text/xml", "text/plain", "text/vnd.wap.wml", "application/javascript",
    "application/rss+xml"};

// One charset_map. `to` may be UTF-8, `from` never is.
struct CharsetMap {
  std::string_view from, to;
  bool utf8 = false;
  std::array<unsigned char, 256> forward{};  // between sets of single bytes
  std::array<unsigned char, 256> backward{};
  std::array<std::string_view, 256> characters{};                          // in UTF-8
  std::array<std::unique_ptr<std::array<unsigned char, 256>>, 256> pages;  // from UTF-8, by the upper byte

  void start() {
    for (std::size_t i = 0; i < 256; ++i) {
      forward[i] = backward[i] = static_cast<unsigned char>(i < 128 ? i : '?');
    }
  }
  unsigned char from_utf8(char32_t code) const {
    const auto& page = pages[code >> 8 & 0xff];
    return page != nullptr ? (*page)[code & 0xff] : 0;
  }
};

// What a `charset` directive says: nothing, a name, or a variable with the name.
struct CharsetName {
  bool off = true;
  http::Template text;
};

struct CharsetMain {
  static constexpr conf::Level kLevel = conf::Level::main;
  std::vector<std::unique_ptr<CharsetMap>> maps;
  std::vector<std::pair<std::string_view, std::string_view>> needed;  // conversions that locations ask for
  std::vector<std::string_view> known;                                // every set that a directive names

  void know(std::string_view name) {
    if (!knows(name)) known.push_back(name);
  }
  bool knows(std::string_view name) const {
    return std::any_of(known.begin(), known.end(), [&](auto one) { return equals_nocase(one, name); });
  }

  // The map between two sets, and whether it is to be used backwards.
  const CharsetMap* find(std::string_view from, std::string_view to, bool& backward) const {
    for (const auto& map : maps) {
      backward = equals_nocase(map->from, to) && equals_nocase(map->to, from);
      if (backward || (equals_nocase(map->from, from) && equals_nocase(map->to, to))) return map.get();
    }
    return nullptr;
  }
};

struct CharsetConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  conf::Setting<CharsetName> wanted;
  conf::Setting<CharsetName> source;
  conf::Setting<bool> override_given;
  http::MimeSetting types;

  Status merge(Context& ctx, const CharsetConf& parent) {
    wanted.inherit(parent.wanted);
    source.inherit(parent.source);
    override_given.inherit(parent.override_given, false);
    http::inherit_mime_types(types, parent.types, kDefaultTypes);
    if (wanted->off || source->off || !wanted->text.constant() || !source->text.constant()) return {};
    const std::string_view from = source->text.source(), to = wanted->text.source();
    if (!equals_nocase(from, to)) ctx.conf<CharsetMain>().needed.emplace_back(from, to);
    return {};
  }
};

// ---- bodies

class CharsetBody final : public RewritingBody {
 public:
  CharsetBody(const CharsetMap& map, bool backward) : map_(map), backward_(backward) {}

 protected:
  bool take(Request&, std::string_view bytes) override {
    if (!map_.utf8) {
      for (char c : bytes) out().push_back(single(c));
    } else if (!backward_) {
      for (char c : bytes) to_utf8(c);
    } else if (kept_.empty()) {
      from_utf8(bytes);
    } else {
      const std::string joined = std::exchange(kept_, {}).append(bytes);
      from_utf8(joined);
    }
    return true;
  }
  bool end(Request&) override {
    if (!kept_.empty()) out().push_back('?');
    kept_.clear();
    return true;
  }

 private:
  char single(char c) const {
    return static_cast<char>((backward_ ? map_.backward : map_.forward)[static_cast<unsigned char>(c)]);
  }

  void to_utf8(char c) {
    const std::string_view text = map_.characters[static_cast<unsigned char>(c)];
    if (!text.empty()) {
      out().append(text);
    } else {
      out().push_back(static_cast<unsigned char>(c) < 128 ? c : '?');
    }
  }

  // How long a character is that begins with `c`.
  static std::size_t wanted(unsigned char c) { return c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4; }

  void from_utf8(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto first = static_cast<unsigned char>(bytes.front());
      if (first < 128) {
        out().push_back(bytes.front());
        bytes.remove_prefix(1);
        continue;
      }
      if (first >= 0xc0 && first < 0xf8 && bytes.size() < wanted(first) && may_continue(bytes)) {
        kept_.assign(bytes);
        return;
      }
      const Utf8Char one = decode_utf8(bytes);
      bytes.remove_prefix(one.size);
      if (!one.valid()) {
        out().push_back('?');
        continue;
      }
      const unsigned char c = one.code < 0x10000 ? map_.from_utf8(one.code) : 0;
      if (c != 0) {
        out().push_back(static_cast<char>(c));
      } else {
        out().append("&#").append(std::to_string(static_cast<std::uint32_t>(one.code))).append(";");
      }
    }
  }

  static bool may_continue(std::string_view bytes) {
    for (char c : bytes.substr(1)) {
      if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) return false;
    }
    return true;
  }

  const CharsetMap& map_;
  bool backward_;
  std::string kept_;  // the beginning of a character
};

// ---- which set

// The set that a response came in, as far as it says.
std::string_view given_charset(const Request& r) {
  const http::WholeType* whole = http::whole_type(r);
  return whole != nullptr ? whole->charset : r.out.charset;
}

// A type with parameters is in no list but that of all types.
bool listed(const Request& r, const http::MimeSet& types) {
  const std::string_view type = r.out.content_type;
  const bool parameters = type.find(';') != std::string_view::npos && http::whole_type(r) == nullptr;
  return types.contains(parameters ? "" : type);
}

// The set that the main request's body is sent in, for what is included into it.
struct MainCharset {
  std::string_view name;
};

std::optional<std::string_view> wanted_charset(Request& r, const CharsetConf& c) {
  if (r.is_sub()) {
    if (const auto* main = r.main->find_ctx<MainCharset>()) return main->name;
    const std::string_view name = given_charset(*r.main);
    if (name.empty()) return std::nullopt;
    return name;
  }
  if (r.out.content_type.empty()) return std::nullopt;
  if (const std::string_view given = r.out.override_charset; !given.empty()) {
    if (r.conf<CharsetMain>().knows(given)) return given;
    log::error(r.logger, "unknown charset \"{}\" to override", given);
    return std::nullopt;
  }
  if (c.wanted->off) return std::nullopt;
  // A script has said it all, or the type of the location.
  if (find_nocase(r.out.content_type, "charset=") != std::string_view::npos &&
      http::whole_type(r) == nullptr) {
    return std::nullopt;
  }
  if (!given_charset(r).empty()) {
    if (!c.override_given) return std::nullopt;
  } else if (!listed(r, *c.types)) {
    return std::nullopt;
  }
  const std::string_view name = c.wanted->text.evaluate(r);
  if (name.empty()) return std::nullopt;
  return name;
}

// Redirects carry none: some clients took it for the set of the next page.
void set_charset(Request& r, std::string_view name) {
  if (r.is_sub()) return;
  if (const http::WholeType* whole = http::whole_type(r)) r.out.content_type = whole->type;
  r.out.charset = r.out.status == 301 || r.out.status == 302 ? std::string_view() : name;
}

// ---- directives

Status read_name(Context& ctx, const Node& node, conf::Setting<CharsetName>& setting, bool may_be_off) {
  if (setting.is_set()) return conf::duplicate();
  const std::string_view text = node.args[0].text;
  CharsetName name;
  if (!may_be_off || text != "off") {
    name.off = false;
    auto compiled = text.starts_with('$') ? http::Template::compile(ctx, text)
                                          : Result<http::Template>(http::Template::literal(text));
    if (!compiled) return ctx.error(node.args[0], compiled.error().text);
    if (compiled->constant()) ctx.conf<CharsetMain>().know(text);
    name.text = std::move(*compiled);
  }
  setting.set(std::move(name));
  return {};
}
Status parse_charset(Context& ctx, const Node& node) {
  return read_name(ctx, node, ctx.conf<CharsetConf>().wanted, true);
}
Status parse_source(Context& ctx, const Node& node) {
  return read_name(ctx, node, ctx.conf<CharsetConf>().source, false);
}
Status parse_types(Context& ctx, const Node& node) {
  return http::parse_mime_types(ctx, node, ctx.conf<CharsetConf>().types);
}

tl::unexpected<Error> invalid_value(Context& ctx, const Node& row, std::string_view text) {
  return ctx.error(row, "invalid value \"" + std::string(text) + "\"");
}

// "E1 D0A1": a byte, and the bytes of the same character in UTF-8.
Status read_utf8_row(Context& ctx, const Node& row, unsigned char from, CharsetMap& map) {
  const std::string_view digits = row.args[0].text;
  constexpr std::size_t kMost = 3;
  char bytes[kMost];
  if (digits.size() / 2 > kMost || digits.size() % 2 != 0 || digits.empty()) {
    return invalid_value(ctx, row, digits);
  }
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    const auto byte = parse_hex(digits.substr(i, 2));
    if (!byte) return invalid_value(ctx, row, digits);
    bytes[i / 2] = static_cast<char>(*byte);
  }
  const std::string_view text = ctx.arena().copy({bytes, digits.size() / 2});
  const Utf8Char one = decode_utf8(text);
  if (!one.valid() || one.code > 0xffff) return invalid_value(ctx, row, digits);
  map.characters[from] = text;
  auto& page = map.pages[one.code >> 8];
  if (page == nullptr) page = std::make_unique<std::array<unsigned char, 256>>();
  (*page)[one.code & 0xff] = from;
  return {};
}

Status read_row(Context& ctx, const Node& row, CharsetMap& map) {
  if (row.args.size() != 1) return ctx.error(row, "invalid parameters number");
  const auto from = parse_hex(row.name);
  if (!from || *from > 255) return invalid_value(ctx, row, row.name);
  if (map.utf8) return read_utf8_row(ctx, row, static_cast<unsigned char>(*from), map);
  const auto to = parse_hex(row.args[0].text);
  if (!to || *to > 255) return invalid_value(ctx, row, row.args[0].text);
  map.forward[*from] = static_cast<unsigned char>(*to);
  map.backward[*to] = static_cast<unsigned char>(*from);
  return {};
}

Status parse_map(Context& ctx, const Node& node) {
  auto& main = ctx.conf<CharsetMain>();
  const std::string_view from = node.args[0].text, to = node.args[1].text;
  const std::string names = "\"" + std::string(from) + "\" and \"" + std::string(to) + "\"";
  if (equals_nocase(from, to)) {
    return ctx.error(node, "\"charset_map\" between the same charsets " + names);
  }
  if (equals_nocase(from, kUtf8)) {
    return ctx.error(node, "\"charset_map\" with \"utf-8\" charset should be given in the second column");
  }
  bool backward = false;
  if (main.find(from, to, backward) != nullptr) {
    return ctx.error(node, "duplicate \"charset_map\" between " + names);
  }
  main.know(from);
  main.know(to);
  auto map = std::make_unique<CharsetMap>();
  map->from = from;
  map->to = to;
  map->utf8 = equals_nocase(to, kUtf8);
  map->start();
  for (const Node& row : node.children) TRY(read_row(ctx, row, *map));
  main.maps.push_back(std::move(map));
  return {};
}

constexpr conf::Directive kDirectives[] = {
    {.name = "charset",
     .where = conf::kHttpServerLocationIf,
     .args = conf::exactly(1),
     .parse = parse_charset},
    {.name = "source_charset",
     .where = conf::kHttpServerLocationIf,
     .args = conf::exactly(1),
     .parse = parse_source},
    {.name = "override_charset",
     .where = conf::kHttpServerLocationIf,
     .args = conf::flag(),
     .parse = conf::set<&CharsetConf::override_given>},
    {.name = "charset_types",
     .where = conf::kHttpServerLocation,
     .args = conf::at_least(1),
     .parse = parse_types},
    {.name = "charset_map",
     .where = conf::Scope::http,
     .args = conf::exactly(2),
     .block = conf::Block::raw,
     .parse = parse_map},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<CharsetMain>(), conf::conf_type<CharsetConf>()};

Status after_http(Context& ctx) {
  const auto& main = ctx.conf<CharsetMain>();
  for (const auto& [from, to] : main.needed) {
    bool backward = false;
    if (main.find(from, to, backward) != nullptr) continue;
    return ctx.error("no \"charset_map\" between the charsets \"" + std::string(from) + "\" and \"" +
                     std::string(to) + "\"");
  }
  return {};
}

}  // namespace

namespace {

[[gnu::noinline]] void choose_charset(Request& r, const CharsetConf& c) {
  const auto to = wanted_charset(r, c);
  if (!to) return;
  std::string_view from = given_charset(r);
  if (from.empty() && !c.source->off) from = c.source->text.evaluate(r);
  if (from.empty() && http::whole_type(r) != nullptr) return;
  if (from.empty() || equals_nocase(from, *to)) return set_charset(r, *to);
  if (!r.out.headers.value(http::HeaderId::content_encoding).empty()) return;
  bool backward = false;
  const CharsetMap* map = r.conf<CharsetMain>().find(from, *to, backward);
  if (map == nullptr) {
    return log::error(r.logger, "no \"charset_map\" between the charsets \"{}\" and \"{}\"", from, *to);
  }
  set_charset(r, *to);
  if (!r.is_sub()) r.ctx<MainCharset>().name = *to;
  if (map->utf8) r.clear_content_length();
  r.add_body_filter<CharsetBody>(*map, backward);
}

}  // namespace

void charset(Request& r) {
  const auto& c = r.conf<CharsetConf>();
  if (c.wanted->off && r.out.override_charset.empty() && !r.is_sub()) return;
  choose_charset(r, c);
}

const conf::Module kCharsetModule = {.name = "http_charset",
                                     .directives = kDirectives,
                                     .confs = kConfs,
                                     .asked_always = true,
                                     .after_http = after_http};

}  // namespace mp::filters
