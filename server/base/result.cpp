#include "base/result.hpp"

#include <cstring>

namespace mp {

Error system_error(int errnum, std::string_view what) {
  char buffer[128];
  const char* reason = strerror_r(errnum, buffer, sizeof buffer);
  std::string text(what);
  text.append(" (").append(std::to_string(errnum)).append(": ").append(reason).append(")");
  return Error{errnum, std::move(text)};
}

}  // namespace mp
