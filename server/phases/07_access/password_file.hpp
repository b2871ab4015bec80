// The text of an htpasswd file. Pure.
#pragma once

#include <optional>
#include <string_view>

namespace mp::phases {

// The stored password of `user`: the second field of the first line that begins with "user:". Lines that
// begin with '#' are comments.
std::optional<std::string_view> find_stored_password(std::string_view file, std::string_view user);

}  // namespace mp::phases
