// Template: a text with $variables and $1 captures, compiled when the configuration is read (nginx's "complex
// value"). Its parts belong to the configuration; it is two views, copied freely.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.hpp"
#include "conf/context.hpp"

namespace mp::http {

class Request;
struct Variable;

class Template {
 public:
  Template() = default;
  // Compiles `text`; "$" followed by no name, or an unclosed "${", is an error as in nginx
  // (`invalid variable name`, `the closing bracket in "x" variable is missing`).
  static Result<Template> compile(conf::Context& ctx, std::string_view text);
  static Template literal(std::string_view text);

  bool empty() const { return source_.empty(); }
  bool constant() const { return parts_.empty(); }
  std::string_view source() const { return source_; }

  // The value in this request: a view of the configuration, of a variable's value, or of the request's arena.
  std::string_view evaluate(Request& request) const { return constant() ? source_ : put_together(request); }

  // As the replacement of a rewrite: the first '?' that stands in the source, not in a value, begins the
  // arguments. Captures are escaped there, and everywhere when the result is for a redirect, if the request's
  // URI was escaped.
  struct Target {
    std::string_view path;
    std::string_view args;
    bool has_args = false;
  };
  Target evaluate_target(Request& request, bool redirect) const;

 private:
  struct Part {
    enum class Kind : std::uint8_t { text, variable, capture } kind;
    std::string_view text;
    const Variable* variable = nullptr;
    std::uint32_t capture = 0;
  };
  std::string_view put_together(Request& request) const;

  std::string_view source_;
  std::span<const Part> parts_;  // none where the source is the value
};

// Number of $N captures and whether there is any variable: for directives that only allow some.
bool has_variables(std::string_view text);

// Readers for Setting<Template> and lists of them, for `.parse = conf::set<&T::field>`.
Status read_value(conf::Context& ctx, const conf::Node& node, Template& out);

}  // namespace mp::http
