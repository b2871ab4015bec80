// What the pages of one request share: variables set by SSI commands, named blocks, the groups of the last
// regular expression. Lives in the main request.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "http/request.hpp"

namespace mp::filters::ssi {

struct Page {
  std::map<std::string, std::string, std::less<>> variables;  // names in lower case
  std::map<std::string, std::string, std::less<>> blocks;
  std::vector<std::string> captures;
};

// A value inside of a command, as its request sees it. `text` may have $variables and backslash escapes.
// Nothing, when it is wrong; that was logged.
class Evaluator {
 public:
  Evaluator(http::Request& request, Page& page) : r_(request), page_(page) {}

  bool evaluate(std::string_view text, std::string& out);
  // The same for the URI of an include: relative ones lie beside the page.
  bool evaluate_uri(std::string_view text, std::string& out);
  // The value of a variable; false when there is none.
  bool variable(std::string_view name, std::string& out);
  // `$a`, `$a = text`, `$a != /regex/`. False when it is wrong.
  bool test(std::string_view expression, bool& holds);

 private:
  bool append_variable(std::string_view text, std::size_t& at, std::string& out);
  bool match(const std::string& pattern, const std::string& subject, bool& matched);

  http::Request& r_;
  Page& page_;
};

}  // namespace mp::filters::ssi
