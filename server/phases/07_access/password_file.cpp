#include "phases/07_access/password_file.hpp"

#include "base/strings.hpp"

namespace mp::phases {

std::optional<std::string_view> find_stored_password(std::string_view file, std::string_view user) {
  for (std::string_view line : split(file, '\n')) {
    if (line.starts_with('#') || !consume(line, user) || !consume(line, ":")) continue;
    return line.substr(0, line.find_first_of(":\r"));
  }
  return std::nullopt;
}

}  // namespace mp::phases
