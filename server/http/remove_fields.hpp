// Taking fields out of a list by any condition.
#pragma once

#include "http/headers.hpp"

namespace mp::http {

// Removes the fields for which `match` is true; it sees every field at its old place.
template <class Match>
void remove_fields(Headers& headers, Match match) {
  HeaderField* const fields = headers.begin();
  const std::size_t size = headers.size();
  std::size_t kept = 0;
  for (std::size_t i = 0; i < size; ++i) {
    if (!match(static_cast<const HeaderField&>(fields[i]))) fields[kept++] = fields[i];
  }
  if (kept != size) headers.adopt(fields, kept, size);
}

}  // namespace mp::http
