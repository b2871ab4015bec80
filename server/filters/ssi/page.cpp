#include "filters/ssi/page.hpp"

#include <algorithm>

#include "base/ascii.hpp"
#include "base/regex.hpp"

namespace mp::filters::ssi {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) { return to_lower(c); });
  return out;
}

bool is_name(char c) {
  return is_alpha(c) || is_digit(c) || c == '_';
}

}  // namespace

bool Evaluator::variable(std::string_view name, std::string& out) {
  if (name.size() == 1 && is_digit(name[0])) {
    const auto group = static_cast<std::size_t>(name[0] - '0');
    if (group < page_.captures.size()) {
      out.append(page_.captures[group]);
      return true;
    }
  }
  const std::string key = lower(name);
  if (const auto found = page_.variables.find(key); found != page_.variables.end()) {
    out.append(found->second);
    return true;
  }
  const http::Value value = r_.variable(r_.arena.copy(key));
  if (value.found) out.append(value.text);
  return value.found;
}

// `at` stands on a '$'.
bool Evaluator::append_variable(std::string_view text, std::size_t& at, std::string& out) {
  const bool bracket = at + 1 < text.size() && text[at + 1] == '{';
  const std::size_t begin = at + (bracket ? 2 : 1);
  std::size_t end = begin;
  while (end < text.size() && is_name(text[end])) ++end;
  const std::string_view name = text.substr(begin, end - begin);
  if (bracket && (end == text.size() || text[end] != '}')) {
    log::error(r_.logger, "the closing bracket in \"{}\" variable is missing", name);
    return false;
  }
  if (name.empty()) {
    log::error(r_.logger, "invalid variable name in \"{}\"", text);
    return false;
  }
  variable(name, out);
  at = end + (bracket ? 1 : 0);
  return true;
}

bool Evaluator::evaluate(std::string_view text, std::string& out) {
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == '$') {
      if (!append_variable(text, at, out)) return false;
      continue;
    }
    if (text[at] == '\\' && at + 1 < text.size()) {
      ++at;
      const char c = text[at];
      if (c != '\\' && c != '\'' && c != '"' && c != '$') out.push_back('\\');
    }
    out.push_back(text[at++]);
  }
  return true;
}

bool Evaluator::evaluate_uri(std::string_view text, std::string& out) {
  std::string uri;
  if (!evaluate(text, uri)) return false;
  if (!uri.starts_with('/')) out.append(r_.uri.substr(0, r_.uri.rfind('/') + 1));
  out.append(uri);
  return true;
}

bool Evaluator::match(const std::string& pattern, const std::string& subject, bool& matched) {
  const auto regex = Regex::compile(pattern, 0, Regex::Jit::off);
  if (!regex) {
    log::error(r_.logger, "{}", regex.error().text);
    return false;
  }
  std::vector<int> offsets(2 * (regex->captures() + 1));
  const RegexMatch result = regex->exec(subject, offsets);
  if (result.failed()) {
    log::alert(r_.logger, "pcre2_match() failed: {} on \"{}\" using \"{}\"", result.code, subject, pattern);
    return false;
  }
  matched = static_cast<bool>(result);
  if (!matched) return true;
  const auto group = [&](std::size_t n) {
    if (offsets[2 * n] < 0) return std::string();
    return subject.substr(static_cast<std::size_t>(offsets[2 * n]),
                          static_cast<std::size_t>(offsets[2 * n + 1] - offsets[2 * n]));
  };
  page_.captures.clear();
  for (std::size_t n = 0; n < offsets.size() / 2; ++n) page_.captures.push_back(group(n));
  for (const auto& named : regex->named_groups()) {
    page_.variables[lower(named.name)] = group(named.number);
  }
  return true;
}

bool Evaluator::test(std::string_view expression, bool& holds) {
  std::size_t at = 0;
  const auto is_left = [](char c) {
    return is_name(c) || c == '$' || c == '{' || c == '}' || c == '"' || c == '\'';
  };
  while (at < expression.size() && is_left(expression[at])) ++at;
  std::string left;
  if (!evaluate(lower(expression.substr(0, at)), left)) return false;
  const auto skip_spaces = [&] {
    while (at < expression.size() && expression[at] == ' ') ++at;
  };
  skip_spaces();
  if (at == expression.size()) {
    holds = !left.empty();
    return true;
  }
  const bool negative = expression.substr(at).starts_with("!=");
  if (!negative && expression[at] != '=') {
    log::error(r_.logger, "invalid expression in \"{}\"", expression);
    return false;
  }
  at += negative ? 2 : 1;
  skip_spaces();
  std::string_view rest = expression.substr(at);
  const bool regex = rest.size() > 1 && rest.front() == '/';
  if (regex) {
    if (rest.back() != '/') {
      log::error(r_.logger, "invalid expression in \"{}\"", expression);
      return false;
    }
    rest = rest.substr(1, rest.size() - 2);
  } else if (rest.size() > 2 && rest.starts_with("\\/")) {
    rest.remove_prefix(1);
  }
  std::string right;
  if (!evaluate(rest, right)) return false;
  bool same = left == right;
  if (regex && !match(right, left, same)) return false;
  holds = same != negative;
  return true;
}

}  // namespace mp::filters::ssi
