#include "filters/sub.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ascii.hpp"
#include "conf/setters.hpp"
#include "filters/rewriting_body.hpp"
#include "http/mime_setting.hpp"
#include "http/template.hpp"

namespace mp::filters {

using conf::Context;
using conf::Node;
using http::Request;

namespace {

struct Pair {
  http::Template search;
  http::Template replacement;
};

struct SubConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  std::shared_ptr<std::vector<Pair>> pairs;
  conf::Setting<bool> once;           // on
  conf::Setting<bool> last_modified;  // off
  http::MimeSetting types;

  Status merge(Context&, const SubConf& parent) {
    once.inherit(parent.once, true);
    last_modified.inherit(parent.last_modified, false);
    http::inherit_mime_types(types, parent.types, http::kHtmlOnly);
    if (pairs == nullptr) pairs = parent.pairs;
    return {};
  }
};

struct Pattern {
  std::string_view text;  // lower case
  const http::Template* replacement;
  std::optional<std::string_view> value;  // of the replacement, once it was needed
};

std::string_view lower(Request& r, std::string_view text) {
  char* copy = r.arena.bytes(text.size());
  std::transform(text.begin(), text.end(), copy, [](char c) { return to_lower(c); });
  return {copy, text.size()};
}

// What this request looks for: patterns may have variables, and be empty.
std::vector<Pattern> patterns_of(Request& r, const std::vector<Pair>& pairs) {
  std::vector<Pattern> patterns;
  for (const Pair& pair : pairs) {
    const std::string_view text = pair.search.evaluate(r);
    if (!text.empty()) patterns.push_back({lower(r, text), &pair.replacement, {}});
  }
  return patterns;
}

// Looks for the patterns, at each place in the order of the configuration; the first that fits there wins.
class SubBody final : public RewritingBody {
 public:
  SubBody(std::vector<Pattern> patterns, bool once)
      : once_(once), patterns_(std::move(patterns)), left_(patterns_.size()) {
    mark_first_bytes();
  }

 protected:
  bool take(Request& r, std::string_view bytes) override {
    if (left_ == 0) {
      out().append(bytes);
      return true;
    }
    if (held_.empty()) return search(r, bytes);
    const std::string joined = std::exchange(held_, {}).append(bytes);
    return search(r, joined);
  }
  bool end(Request&) override {
    out().append(std::exchange(held_, {}));
    return true;
  }

 private:
  enum class Fit { no, begins, yes };

  void mark_first_bytes() {
    first_.fill(false);
    for (const Pattern& p : patterns_) {
      if (once_ && p.value) continue;
      const char c = p.text.front();
      first_[static_cast<unsigned char>(c)] = true;
      if (c >= 'a' && c <= 'z') first_[static_cast<unsigned char>(c - 'a' + 'A')] = true;
    }
  }

  static Fit fits(std::string_view pattern, std::string_view bytes) {
    const std::size_t n = std::min(pattern.size(), bytes.size());
    for (std::size_t i = 0; i < n; ++i) {
      if (to_lower(bytes[i]) != pattern[i]) return Fit::no;
    }
    return n == pattern.size() ? Fit::yes : Fit::begins;
  }

  bool search(Request& r, std::string_view bytes) {
    std::size_t from = 0;  // not yet passed on
    for (std::size_t at = 0; at < bytes.size() && left_ > 0;) {
      if (!first_[static_cast<unsigned char>(bytes[at])]) {
        ++at;
        continue;
      }
      Pattern* found = nullptr;
      for (Pattern& p : patterns_) {
        if (once_ && p.value) continue;
        const Fit fit = fits(p.text, bytes.substr(at));
        if (fit == Fit::begins) {  // the rest decides
          out().append(bytes.substr(from, at - from));
          held_.assign(bytes.substr(at));
          return true;
        }
        if (fit == Fit::yes) {
          found = &p;
          break;
        }
      }
      if (found == nullptr) {
        ++at;
        continue;
      }
      out().append(bytes.substr(from, at - from));
      replace(r, *found);
      from = at += found->text.size();
    }
    out().append(bytes.substr(from));
    return true;
  }

  void replace(Request& r, Pattern& p) {
    const bool first_time = !p.value;
    if (first_time) p.value = p.replacement->evaluate(r);
    out().append(*p.value);
    if (!first_time || !once_) return;
    --left_;
    mark_first_bytes();
  }

  bool once_;
  std::vector<Pattern> patterns_;
  std::size_t left_ = 0;  // patterns that are still looked for
  std::array<bool, 256> first_{};
  std::string held_;  // may be the beginning of a match
};

Status parse_sub_filter(Context& ctx, const Node& node) {
  auto& c = ctx.conf<SubConf>();
  if (node.args[0].text.empty()) return ctx.error(node.args[0], "empty search pattern");
  if (c.pairs == nullptr) c.pairs = std::make_shared<std::vector<Pair>>();
  if (c.pairs->size() == 255) return ctx.error(node.args[0], "number of search patterns exceeds 255");
  auto search = http::Template::compile(ctx, node.args[0].text);
  if (!search) return ctx.error(node.args[0], search.error().text);
  auto replacement = http::Template::compile(ctx, node.args[1].text);
  if (!replacement) return ctx.error(node.args[1], replacement.error().text);
  c.pairs->push_back({std::move(*search), std::move(*replacement)});
  return {};
}

Status parse_types(Context& ctx, const Node& node) {
  return http::parse_mime_types(ctx, node, ctx.conf<SubConf>().types);
}

constexpr conf::Directive kDirectives[] = {
    {.name = "sub_filter",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(2),
     .parse = parse_sub_filter},
    {.name = "sub_filter_types",
     .where = conf::kHttpServerLocation,
     .args = conf::at_least(1),
     .parse = parse_types},
    {.name = "sub_filter_once",
     .where = conf::kHttpServerLocation,
     .args = conf::flag(),
     .parse = conf::set<&SubConf::once>},
    {.name = "sub_filter_last_modified",
     .where = conf::kHttpServerLocation,
     .args = conf::flag(),
     .parse = conf::set<&SubConf::last_modified>},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<SubConf>()};

}  // namespace

void sub(Request& r) {
  const auto& c = r.conf<SubConf>();
  if (c.pairs == nullptr || r.out.content_length == 0 || !c.types->contains(r.out.content_type)) return;
  auto patterns = patterns_of(r, *c.pairs);
  if (patterns.empty()) return;
  r.add_body_filter<SubBody>(std::move(patterns), c.once);
  r.clear_content_length();
  if (c.last_modified) return r.weaken_etag();
  r.out.last_modified = -1;
  r.clear_etag();
}

const conf::Module kSubModule = {.name = "http_sub", .directives = kDirectives, .confs = kConfs};

}  // namespace mp::filters
