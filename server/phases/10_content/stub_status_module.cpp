// stub_status: how many connections and requests there are and were, over all workers.
#include <iterator>

#include <fmt/core.h>

#include "base/numbers.hpp"
#include "conf/process_conf.hpp"
#include "http/body.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"
#include "phases/10_content/small_modules.hpp"

namespace mp::phases {

using conf::Context;
using conf::Node;
using http::Request;
using http::Step;

namespace {

SharedCounters::Totals totals(const Request& r) {
  const auto& counters = r.conf<conf::ProcessWide>().counters;
  return counters != nullptr ? counters->totals() : SharedCounters::Totals{};
}

Step show_status(Request& r) {
  if (r.method != http::Method::get && r.method != http::Method::head) return Step::finish(405);
  if (!http::discard_body(r)) r.keepalive = false;
  const auto t = totals(r);
  char text[320];
  const auto end =
      fmt::format_to_n(text, sizeof text,
                       "Active connections: {} \nserver accepts handled requests\n {} {} {} \n"
                       "Reading: {} Writing: {} Waiting: {} \n",
                       t.active, t.accepted, t.handled, t.requests, t.reading, t.writing, t.waiting);
  return r.respond(200, "text/plain", {text, static_cast<std::size_t>(end.out - text)});
}

Status parse_stub_status(Context& ctx, const Node&) {
  ctx.conf<http::CoreBlock>().handler = show_status;
  return {};
}

template <std::int64_t SharedCounters::Totals::* Field>
http::Value counter(Request& r, const http::Variable&) {
  char digits[kMaxDecimal];
  const char* end = print(digits, totals(r).*Field);
  return http::Value::of(r.arena.copy({digits, static_cast<std::size_t>(end - digits)}));
}

Status define_variables(Context& ctx) {
  using Totals = SharedCounters::Totals;
  static constexpr http::Variable kVariables[] = {
      {.name = "connections_active", .get = counter<&Totals::active>, .cacheable = false},
      {.name = "connections_reading", .get = counter<&Totals::reading>, .cacheable = false},
      {.name = "connections_writing", .get = counter<&Totals::writing>, .cacheable = false},
      {.name = "connections_waiting", .get = counter<&Totals::waiting>, .cacheable = false},
      {.name = "fibers_active", .get = counter<&Totals::fibers>, .cacheable = false},
  };
  ctx.conf<http::CoreMain>().variables.define(kVariables);
  return {};
}

constexpr conf::Directive kDirectives[] = {
    {.name = "stub_status",
     .where = conf::Scope::server | conf::Scope::location,
     .args = conf::between(0, 1),
     .parse = parse_stub_status},
};

}  // namespace

const conf::Module kStubStatusModule = {
    .name = "http_stub_status", .directives = kDirectives, .before_http = define_variables};

}  // namespace mp::phases
