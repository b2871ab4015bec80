// The variables of the echo family.
#include "base/clock.hpp"
#include "base/numbers.hpp"
#include "fiber/scheduler.hpp"
#include "phases/10_content/echo/commands.hpp"

namespace mp::phases::echo {
namespace {

using http::Value;
using http::Variable;

Value maybe(std::string_view text) {
  return text.empty() ? Value::none() : Value::of(text);
}

Value number(Request& r, std::uint64_t value) {
  char text[kMaxDecimal];
  return Value::of(r.arena.copy({text, static_cast<std::size_t>(print(text, value) - text)}));
}

Value timer_elapsed(Request& r, const Variable&) {
  fiber::here()->refresh_clock();
  std::int64_t begin = r.ctx<EchoState>().timer_begin;
  if (begin < 0) begin = r.start_seconds * 1000 + r.start_msec;
  const std::int64_t now = clock().seconds() * 1000 + clock().msec();
  char text[kMaxDecimal + 2];
  char* const end = print_fixed(text, std::max<std::int64_t>(now - begin, 0), 3);
  return Value::of(r.arena.copy({text, static_cast<std::size_t>(end - text)}));
}

Value request_body(Request& r, const Variable&) {
  if (r.body.in_file() || r.body.parts.empty()) return Value::none();
  return Value::of(r.body.text(r));
}

Value item(Request& r, const Variable&) {
  const auto* state = r.find_ctx<EchoState>();
  if (state == nullptr || !state->looping || state->item >= state->items.size()) return Value::none();
  return Value::of(state->items[state->item]);
}

constexpr Variable kVariables[] = {
    {.name = "echo_timer_elapsed", .get = timer_elapsed, .cacheable = false},
    {.name = "echo_request_method",
     .get = [](Request& r, const Variable&) { return maybe(r.method_text); },
     .cacheable = false},
    {.name = "echo_client_request_method",
     .get = [](Request& r, const Variable&) { return maybe(r.main->method_text); },
     .cacheable = false},
    {.name = "echo_cacheable_request_uri", .get = [](Request& r, const Variable&) { return maybe(r.uri); }},
    {.name = "echo_request_uri",
     .get = [](Request& r, const Variable&) { return maybe(r.uri); },
     .cacheable = false},
    {.name = "echo_request_body", .get = request_body, .cacheable = false},
    {.name = "echo_client_request_headers",
     .get = [](Request& r, const Variable&) { return maybe(r.main->raw_head); },
     .cacheable = false},
    {.name = "echo_it", .get = item, .cacheable = false},
    {.name = "echo_incr",
     .get = [](Request& r, const Variable&) { return number(r, ++r.main->ctx<EchoState>().counter); },
     .cacheable = false},
    {.name = "echo_response_status",
     .get =
         [](Request& r, const Variable&) {
           return r.out.status > 0 ? number(r, static_cast<std::uint64_t>(r.out.status)) : Value::none();
         },
     .cacheable = false},
};

}  // namespace

void define_variables(http::VariableTable& table) {
  table.define(kVariables);
}

}  // namespace mp::phases::echo
