#include "upstream/history.hpp"

#include <algorithm>
#include <optional>

#include "base/ascii.hpp"
#include "base/numbers.hpp"
#include "base/strings.hpp"
#include "http/joined_fields.hpp"

namespace mp::upstream {
namespace {

using http::HeaderField;
using http::Request;
using http::Value;
using http::Variable;

constexpr std::size_t kMostDigits = 24;

char* print_address(const Try& one, char* out) {
  return std::copy(one.peer.begin(), one.peer.end(), out);
}

char* print_status(const Try& one, char* out) {
  if (one.status != 0) return print(out, one.status);
  *out++ = '-';
  return out;
}

template <std::int64_t Try::* Member>
char* print_time(const Try& one, char* out) {
  if (one.*Member >= 0) return print_fixed(out, one.*Member, 3);
  *out++ = '-';
  return out;
}

template <std::uint64_t Try::* Member>
char* print_count(const Try& one, char* out) {
  return print(out, one.*Member);
}

// "1, 2 : 3": the tries in their order, with a colon where an internal redirect lies between.
template <char* (*Print)(const Try&, char*)>
Value list(Request& r, const Variable&) {
  const History* history = r.find_ctx<History>();
  if (history == nullptr || history->first == nullptr) return Value::none();
  std::size_t room = 0;
  for (const Try* t = history->first; t != nullptr; t = t->next) {
    room += std::max(t->peer.size(), kMostDigits) + 3;
  }
  char* const start = r.arena.bytes(room);
  char* p = start;
  for (const Try* t = history->first; t != nullptr; t = t->next) {
    if (t != history->first) {
      const std::string_view between = t->separator ? " : " : ", ";
      p = std::copy(between.begin(), between.end(), p);
      if (t->separator) {
        t = t->next;
        if (t == nullptr) break;
      }
    }
    p = Print(*t, p);
  }
  return Value::volatile_({start, static_cast<std::size_t>(p - start)});
}

Value response_field(Request& r, const Variable& v) {
  const History* history = r.find_ctx<History>();
  if (history == nullptr || history->headers == nullptr) return Value::none();
  Value value =
      http::joined_fields(*history->headers, v.name.substr(std::string_view("upstream_http_").size()));
  value.cacheable = false;
  return value;
}

Value response_trailer(Request& r, const Variable& v) {
  const History* history = r.find_ctx<History>();
  if (history == nullptr || history->trailers == nullptr) return Value::none();
  const std::string_view name = v.name.substr(std::string_view("upstream_trailer_").size());
  Value value = http::joined_fields(*history->trailers, name);
  value.cacheable = false;
  return value;
}

// The value in "name=value; Path=/", when the cookie has this name.
std::optional<std::string_view> cookie_value(std::string_view cookie, std::string_view name) {
  if (cookie.size() <= name.size() || !equals_nocase(cookie.substr(0, name.size()), name))
    return std::nullopt;
  const auto skip_spaces = [](std::string_view text) {
    while (text.starts_with(' ')) text.remove_prefix(1);
    return text;
  };
  std::string_view rest = skip_spaces(cookie.substr(name.size()));
  if (!consume(rest, "=")) return std::nullopt;
  rest = skip_spaces(rest);
  return rest.substr(0, rest.find(';'));
}

Value response_cookie(Request& r, const Variable& v) {
  const History* history = r.find_ctx<History>();
  if (history == nullptr || history->headers == nullptr) return Value::none();
  const std::string_view name = v.name.substr(std::string_view("upstream_cookie_").size());
  for (const HeaderField& field : *history->headers) {
    if (field.id != http::HeaderId::set_cookie) continue;
    if (const auto value = cookie_value(field.value, name)) return Value::volatile_(*value);
  }
  return Value::none();
}

constexpr Variable kVariables[] = {
    {.name = "upstream_addr", .get = list<print_address>, .cacheable = false},
    {.name = "upstream_status", .get = list<print_status>, .cacheable = false},
    {.name = "upstream_connect_time", .get = list<print_time<&Try::connect_time>>, .cacheable = false},
    {.name = "upstream_header_time", .get = list<print_time<&Try::header_time>>, .cacheable = false},
    {.name = "upstream_response_time", .get = list<print_time<&Try::response_time>>, .cacheable = false},
    {.name = "upstream_response_length", .get = list<print_count<&Try::response_length>>, .cacheable = false},
    {.name = "upstream_bytes_received", .get = list<print_count<&Try::bytes_received>>, .cacheable = false},
    {.name = "upstream_bytes_sent", .get = list<print_count<&Try::bytes_sent>>, .cacheable = false},
    {.name = "upstream_http_", .get = response_field, .cacheable = false, .prefix = true},
    {.name = "upstream_trailer_", .get = response_trailer, .cacheable = false, .prefix = true},
    {.name = "upstream_cookie_", .get = response_cookie, .cacheable = false, .prefix = true},
};

}  // namespace

Try& History::add(http::Request& request) {
  Try* one = request.arena.make<Try>();
  (last != nullptr ? last->next : first) = one;
  last = one;
  return *one;
}

void define_history_variables(http::VariableTable& table) {
  table.define(kVariables);
}

}  // namespace mp::upstream
