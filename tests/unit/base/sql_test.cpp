#include "base/sql.hpp"

#include <string>

#include <catch2/catch.hpp>

using namespace mp;
using namespace std::string_literals;

namespace {

std::string sql(std::string_view text) {
  std::string out(quoted_sql_room(text.size()), '\0');
  out.resize(static_cast<std::size_t>(quote_sql_into(out.data(), text) - out.data()));
  return out;
}

std::string pgsql(std::string_view text) {
  std::string out(quoted_pgsql_room(text.size()), '\0');
  out.resize(static_cast<std::size_t>(quote_pgsql_into(out.data(), text) - out.data()));
  return out;
}

}  // namespace

TEST_CASE("sql: quotes and backslashes", "[base][sql]") {
  CHECK(sql("") == "''");
  CHECK(sql("a'b\"c\\") == R"('a\'b\"c\\')");
  CHECK(sql("\0\b\n\r\t\x1a"s) == R"('\0\b\n\r\t\Z')");
  CHECK(sql("\xe4\xbd\xa0") == "'\xe4\xbd\xa0'");
  CHECK(sql(std::string(100, '\'')).size() == quoted_sql_room(100));
}

TEST_CASE("sql: PostgreSQL sees UTF-8 alone", "[base][sql]") {
  CHECK(pgsql("") == "E''");
  CHECK(pgsql("a'b\\\n") == R"(E'a\'b\\\n')");
  CHECK(pgsql("\0\x1a"s) == R"(E'\000\032')");
  CHECK(pgsql("\xe4\xbd\xa0\xe4\xbd!") == "E'\xe4\xbd\xa0\\344\\275!'");
  CHECK(pgsql("\xbf'") == R"(E'\277\'')");
  CHECK(pgsql(std::string(100, '\xff')).size() == quoted_pgsql_room(100));
}
