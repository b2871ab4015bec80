#include "http/rate_limit.hpp"

#include <algorithm>
#include <optional>

#include "base/clock.hpp"
#include "base/numbers.hpp"
#include "fiber/scheduler.hpp"
#include "http/core_conf.hpp"
#include "http/hangup.hpp"
#include "http/request.hpp"

namespace mp::http {
namespace {

std::int64_t evaluate_size(const Setting<Template>& setting, Request& r) {
  if (setting->empty()) return 0;
  const std::string_view text = setting->evaluate(r);
  const auto size = parse_size(text);
  if (!size) log::error(r.logger, "invalid size \"{}\"", text);
  return static_cast<std::int64_t>(size.value_or(0));
}

}  // namespace

std::int64_t find_rate_limit(Request& r) {
  const auto& core = r.conf<CoreLocation>();
  r.limit_rate = evaluate_size(core.limit_rate, r);
  if (r.limit_rate > 0 && r.limit_rate_after < 0)
    r.limit_rate_after = evaluate_size(core.limit_rate_after, r);
  return r.limit_rate;
}

std::size_t wait_for_rate(Request& r, std::size_t wanted, std::uint64_t sent) {
  const std::int64_t rate = rate_limit(r);
  const std::int64_t free = std::max<std::int64_t>(r.limit_rate_after, 0);
  for (;;) {
    const std::int64_t elapsed = clock().seconds() - r.start_seconds + 1;
    const std::int64_t allowed = rate * elapsed - (static_cast<std::int64_t>(sent) - free);
    if (allowed > 0) return std::min(wanted, static_cast<std::size_t>(allowed));
    // Nobody reads meanwhile: a client that goes away must not be waited for, unless someone else watches it.
    // Scripts learn it from the write, and go on.
    std::optional<CancelOnHangup> watch;
    if (r.connection.hangup_listener == nullptr && !r.main->scripted) watch.emplace(r);
    fiber::sleep_for(static_cast<fiber::Msec>(-allowed * 1000 / rate + 1));
  }
}

}  // namespace mp::http
