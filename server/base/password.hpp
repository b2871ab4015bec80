// Checking a password against the stored form of an htpasswd file: "$apr1$SALT$HASH" (Apache's MD5),
// "{PLAIN}password", "{SHA}base64", "{SSHA}base64", and everything the system's crypt(3) knows
// ("$2y$...", "$5$...", "$6$...", "$y$...", traditional DES).
#pragma once

#include <string_view>

#include "base/result.hpp"

namespace mp {

// True when the password is right. An error means that the stored form is unusable ("crypt_r() failed
// (22: Invalid argument)"), to be logged as critical. Costly forms take as long as they were made to.
Result<bool> check_password(std::string_view stored, std::string_view given);

}  // namespace mp
