// Diagnostic: a mistake or a warning in a configuration, as a value; and the one place that prints it.
#pragma once

#include <cstdint>
#include <string>

#include "conf/node.hpp"
#include "conf/source.hpp"

namespace mp::conf {

struct Diagnostic {
  enum class Severity : std::uint8_t { error, warning };

  Severity severity = Severity::error;
  std::string text;          // `unknown directive "x"`, without the place
  Position where;            // names file and line in the message
  Position marked;           // where the marker stands; unknown: no excerpt
  std::uint32_t length = 1;  // of the marker
  std::string hint;          // a further line, or empty
};

// `unknown directive "x" in FILE:LINE`: the line for the error log, after "[emerg] PID#TID: ".
std::string headline(const Diagnostic& diagnostic, const Sources& sources);

// The headline, the source line with a marker, and the hint. No newline at the end.
std::string describe(const Diagnostic& diagnostic, const Sources& sources);

}  // namespace mp::conf
