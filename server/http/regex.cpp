#include "http/regex.hpp"

#include "http/core_conf.hpp"
#include "http/request.hpp"

namespace mp::http {

Result<HttpRegex> HttpRegex::compile(conf::Context& ctx, std::string_view pattern, bool caseless) {
  auto code = Regex::compile(pattern, caseless ? Regex::kCaseless : 0);
  if (!code) return fail(code.error());
  HttpRegex regex(std::move(*code), pattern);
  for (const Regex::NamedGroup& group : regex.code_.named_groups()) {
    auto variable = ctx.conf<CoreMain>().variables.add(group.name);
    if (!variable) return fail(variable.error());
    regex.names_.emplace_back(group.number, *variable);
  }
  return regex;
}

bool HttpRegex::match(Request& r, std::string_view subject) const {
  constexpr std::size_t kFew = 32;
  int few[kFew];
  const std::size_t size = 2 * (code_.captures() + 1);
  std::vector<int> many;
  std::span<int> offsets(few, size);
  if (size > kFew) {
    many.resize(size);
    offsets = many;
  }
  const RegexMatch result = code_.exec(subject, offsets);
  if (result.failed()) {
    log::alert(r.logger, "pcre2_match() failed: {} on \"{}\" using \"{}\"", result.code, subject, pattern_);
    return false;
  }
  if (!result) return false;
  r.captures.subject = subject;
  r.captures.offsets.assign(offsets.begin(), offsets.end());
  for (const auto& [number, variable] : names_) r.set_value(*variable, Value::of(r.captures.at(number)));
  return true;
}

}  // namespace mp::http
