// HttpRegex: a pattern of the configuration whose match sets $1.. and named groups as variables of the
// request.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "base/regex.hpp"
#include "conf/context.hpp"

namespace mp::http {

class Request;
struct Variable;

class HttpRegex {
 public:
  // Named groups become variables. Error: the regex compiler's text, or `the duplicate "x" variable`.
  static Result<HttpRegex> compile(conf::Context& ctx, std::string_view pattern, bool caseless);

  // On a match the request's captures and the named variables are set; otherwise nothing changes.
  bool match(Request& request, std::string_view subject) const;
  std::uint32_t captures() const { return code_.captures(); }
  std::string_view pattern() const { return pattern_; }

 private:
  HttpRegex(Regex code, std::string_view pattern) : code_(std::move(code)), pattern_(pattern) {}
  Regex code_;
  std::string_view pattern_;
  std::vector<std::pair<std::uint32_t, const Variable*>> names_;
};

}  // namespace mp::http
