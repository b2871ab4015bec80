// EchoArgs: the arguments of a directive of the echo family, with options ("-n", ended by "--") in front.
// Options are those written in the configuration; a variable's value is never one. Belongs to the
// configuration.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "http/template.hpp"

namespace mp::filters {

class EchoArgs {
 public:
  static Result<EchoArgs> compile(conf::Context& ctx, const conf::Node& node);

  bool has_option(std::string_view name) const;  // without its dash
  std::size_t size() const { return values_.size(); }

  // The values in this request, in its arena.
  std::span<std::string_view> evaluate(http::Request& request) const;

  // What `echo` sends: the values, blanks between, and a line end unless there is the option "n".
  std::string_view line(http::Request& request) const;

 private:
  std::vector<std::string_view> options_;
  std::vector<http::Template> values_;
};

}  // namespace mp::filters
