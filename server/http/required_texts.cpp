// What a pattern cannot match without. Whatever is not understood for certain gives nothing.
#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "base/ascii.hpp"
#include "http/regex_index.hpp"

namespace mp::http {
namespace {

constexpr std::size_t kMostChoices = 64;  // texts in one list
constexpr int kMostDepth = 50;

// Reads a pattern; any doubt sets `lost_`, and then nothing is known of the whole pattern.
class PatternReader {
 public:
  explicit PatternReader(std::string_view pattern) : p_(pattern) {}

  RequiredTexts read() {
    if (p_.starts_with("(*")) return {};
    RequiredTexts all = alternatives(0);
    if (lost_ || at_ != p_.size()) return {};
    return all;
  }

 private:
  bool more() const { return at_ < p_.size(); }

  // What every alternative of a group needs: with one alternative all of its lists; with several one list
  // that has the best of each.
  RequiredTexts alternatives(int depth) {
    if (depth > kMostDepth) {
      lost_ = true;
      return {};
    }
    std::vector<RequiredTexts> options;
    options.push_back(sequence(depth));
    while (more() && p_[at_] == '|' && !lost_) {
      ++at_;
      options.push_back(sequence(depth));
    }
    if (options.size() == 1) return std::move(options[0]);
    std::vector<std::string> together;
    for (const RequiredTexts& option : options) {
      const std::vector<std::string>* best = best_of(option);
      if (best == nullptr || together.size() + best->size() > kMostChoices) return {};
      together.insert(together.end(), best->begin(), best->end());
    }
    return {std::move(together)};
  }

  static std::size_t shortest(const std::vector<std::string>& texts) {
    return std::min_element(texts.begin(), texts.end(),
                            [](const auto& a, const auto& b) { return a.size() < b.size(); })
        ->size();
  }
  static const std::vector<std::string>* best_of(const RequiredTexts& lists) {
    const std::vector<std::string>* best = nullptr;
    for (const auto& list : lists) {
      if (best == nullptr || shortest(list) > shortest(*best)) best = &list;
    }
    return best;
  }

  RequiredTexts sequence(int depth) {
    RequiredTexts found;
    std::string run;
    auto end_run = [&] {
      if (!run.empty()) found.push_back({std::exchange(run, {})});
    };
    while (more() && !lost_ && p_[at_] != '|' && p_[at_] != ')') {
      if (p_[at_] == '(') {
        end_run();
        RequiredTexts inner = group(depth);
        if (!optional()) std::move(inner.begin(), inner.end(), std::back_inserter(found));
        continue;
      }
      if (p_[at_] == '^') {
        ++at_;
        continue;
      }
      const std::optional<char> literal = character();
      if (!literal) end_run();
      switch (quantifier()) {
        case Quantifier::none:
          if (literal) run.push_back(*literal);
          break;
        case Quantifier::at_least_one:
          if (literal) run.push_back(*literal);
          end_run();
          break;
        case Quantifier::maybe_none:
          end_run();
          break;
      }
    }
    end_run();
    return found;
  }

  // One item that is no group: its character when it stands for itself.
  std::optional<char> character() {
    const char c = p_[at_++];
    switch (c) {
      case '.':
      case '$':
        return std::nullopt;
      case '[':
        skip_class();
        return std::nullopt;
      case '\\':
        return escape();
      case '*':
      case '+':
      case '?':
      case '{':  // a quantifier of something that was not seen as such
        lost_ = true;
        return std::nullopt;
      default:
        return to_lower(c);
    }
  }

  std::optional<char> escape() {
    if (!more()) {
      lost_ = true;
      return std::nullopt;
    }
    const char c = p_[at_++];
    if (!is_alnum(c)) return c;
    // Those that take nothing behind them; the others are not looked into.
    if (std::string_view("dDwWsSbBAzZhHvVRnrtfeaGXK").find(c) == std::string_view::npos) lost_ = true;
    return std::nullopt;
  }

  void skip_class() {
    if (more() && p_[at_] == '^') ++at_;
    if (more() && p_[at_] == ']') ++at_;
    while (more() && p_[at_] != ']') {
      if (p_[at_] == '[' && at_ + 1 < p_.size() &&
          (p_[at_ + 1] == ':' || p_[at_ + 1] == '.' || p_[at_ + 1] == '=')) {
        const std::size_t end = p_.find(']', at_ + 2);
        if (end == std::string_view::npos) break;
        at_ = end;
      } else if (p_[at_] == '\\') {
        if (at_ + 1 < p_.size() && (p_[at_ + 1] == 'Q' || p_[at_ + 1] == 'E')) lost_ = true;
        ++at_;
      }
      ++at_;
    }
    if (!more()) {
      lost_ = true;
      return;
    }
    ++at_;
  }

  RequiredTexts group(int depth) {
    ++at_;
    bool counts = true;
    if (more() && p_[at_] == '*') lost_ = true;
    if (more() && p_[at_] == '?') counts = group_start();
    RequiredTexts inner = alternatives(depth + 1);
    if (!more() || p_[at_] != ')') {
      lost_ = true;
      return {};
    }
    ++at_;
    return counts ? inner : RequiredTexts();
  }

  // Behind "(?": steps over the kind of group. True when its contents must match.
  bool group_start() {
    ++at_;
    const std::string_view rest = p_.substr(at_);
    auto skip_name = [&](std::size_t from, char close) {
      const std::size_t end = rest.find(close, from);
      if (end == std::string_view::npos) {
        lost_ = true;
      } else {
        at_ += end + 1;
      }
      return true;
    };
    if (rest.starts_with(':') || rest.starts_with('>')) {
      ++at_;
      return true;
    }
    for (std::string_view look : {"=", "!", "<=", "<!"}) {
      if (!rest.starts_with(look)) continue;
      at_ += look.size();
      return false;
    }
    if (rest.starts_with('<')) return skip_name(1, '>');
    if (rest.starts_with("P<")) return skip_name(2, '>');
    if (rest.starts_with('\'')) return skip_name(1, '\'');
    lost_ = true;
    return false;
  }

  enum class Quantifier : std::uint8_t { none, at_least_one, maybe_none };
  Quantifier quantifier() {
    if (!more()) return Quantifier::none;
    const char c = p_[at_];
    if (c != '*' && c != '+' && c != '?' && c != '{') return Quantifier::none;
    if (c == '{') {
      const std::size_t end = p_.find('}', at_);
      if (end == std::string_view::npos) lost_ = true;
      at_ = end == std::string_view::npos ? p_.size() : end + 1;
    } else {
      ++at_;
    }
    if (more() && (p_[at_] == '?' || p_[at_] == '+')) ++at_;  // lazy, possessive
    return c == '+' ? Quantifier::at_least_one : Quantifier::maybe_none;
  }
  bool optional() { return quantifier() == Quantifier::maybe_none; }

  std::string_view p_;
  std::size_t at_ = 0;
  bool lost_ = false;
};

}  // namespace

RequiredTexts required_texts(std::string_view pattern) {
  return PatternReader(pattern).read();
}

}  // namespace mp::http
