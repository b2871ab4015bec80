// ngx.now, ngx.time, ngx.today and the other times and dates; ngx.sleep.
#include <ctime>

#include "base/clock.hpp"
#include "fiber/scheduler.hpp"
#include "lua/api.hpp"

namespace mp::lua {
namespace {

// sleep(seconds): parks.
int sleep(lua_State* L) {
  if (lua_gettop(L) != 1) {
    return luaL_error(L, "attempt to pass %d arguments, but accepted 1", lua_gettop(L));
  }
  const Request& r = check_request(L, kWaiting);
  const lua_Number seconds = luaL_checknumber(L, 1);
  if (seconds < 0) return luaL_error(L, "invalid sleep duration \"%d\"", static_cast<int>(seconds * 1000));
  const auto duration = static_cast<fiber::Msec>(seconds * 1000);
  log::debug(r.logger, "lua ready to sleep for {} ms", duration);
  try {
    fiber::sleep_for(duration);
  } catch (const fiber::Cancelled&) {
    log::debug(r.logger, "lua clean up the timer for pending ngx.sleep");
    throw;
  }
  log::debug(r.logger, "lua sleep timer expired");
  return 0;
}

void update_clock() {
  if (fiber::here() != nullptr) {
    fiber::here()->refresh_clock();
  } else {
    clock().update();
  }
}

constexpr luaL_Reg kFunctions[] = {
    {"sleep", waits<sleep>},
};

std::size_t format_local(char* out, const char* format, std::time_t t) {
  std::tm tm;
  localtime_r(&t, &tm);
  return std::strftime(out, 32, format, &tm);
}

}  // namespace

extern const Group kTimeGroup = {"time", kFunctions};

}  // namespace mp::lua

extern "C" {

double mp_time_now() {
  return mp::clock().now();
}

std::int64_t mp_time_seconds() {
  return mp::clock().seconds();
}

std::int64_t mp_time_monotonic_msec() {
  return static_cast<std::int64_t>(mp::clock().monotonic_ms());
}

void mp_time_update() {
  mp::lua::update_clock();
}

// "2024-01-31", at least 32 bytes; returns the length.
std::size_t mp_time_today(char* out) {
  return mp::lua::format_local(out, "%Y-%m-%d", mp::clock().seconds());
}

std::size_t mp_time_local(char* out) {
  return mp::lua::format_local(out, "%Y-%m-%d %H:%M:%S", mp::clock().seconds());
}

std::size_t mp_time_utc(char* out) {
  std::time_t t = mp::clock().seconds();
  std::tm tm;
  gmtime_r(&t, &tm);
  return std::strftime(out, 32, "%Y-%m-%d %H:%M:%S", &tm);
}

std::size_t mp_time_http(char* out, double seconds) {
  mp::write_http_date(out, static_cast<std::int64_t>(seconds));
  return mp::kHttpDateSize;
}

std::size_t mp_time_cookie(char* out, double seconds) {
  return mp::write_cookie_date(out, static_cast<std::int64_t>(seconds));
}

// 0 when `text` is a date, with the Unix time in `seconds`; -1 when it is none.
int mp_time_parse(const char* text, std::size_t size, std::int64_t* seconds) {
  const auto parsed = mp::parse_http_date(mp::lua::view(text, size));
  if (!parsed) return mp::lua::kError;
  *seconds = *parsed;
  return mp::lua::kOk;
}
}
