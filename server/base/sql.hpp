// Quoting of text as string literals of SQL. Each kind has the room it needs at most, and writing it into the
// caller's buffer, which returns the end.
#pragma once

#include <cstddef>
#include <string_view>

namespace mp {

// MySQL: 'text' with backslashes.
constexpr std::size_t quoted_sql_room(std::size_t size) {
  return 2 * size + 2;
}
char* quote_sql_into(char* out, std::string_view text);

// PostgreSQL: E'text' with backslashes; bytes that are no UTF-8 as octal numbers, so that they cannot hide a
// quote.
constexpr std::size_t quoted_pgsql_room(std::size_t size) {
  return 4 * size + 3;
}
char* quote_pgsql_into(char* out, std::string_view text);

}  // namespace mp
