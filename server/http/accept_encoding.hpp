// Accept-Encoding, read with nginx's rules: which codings a client takes. Pure functions over views.
#pragma once

#include <string_view>

namespace mp::http {

// True when `value` (of an Accept-Encoding field) lists `coding` ("gzip", "br", "zstd"), in any case, and
// does not rule it out with q=0. "*" promises nothing. Only a weight of at most 1 with at most three decimals
// counts; with anything else behind it the coding is not accepted. The first mention decides.
bool accepts_coding(std::string_view value, std::string_view coding);

}  // namespace mp::http
