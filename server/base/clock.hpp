// Clock: the worker's idea of "now". The event loop calls update() once per iteration; everything else
// reads the cached values, so one iteration sees one time and no request pays for a system call.
// The strings are rebuilt once a second. One per thread; it outlives everything that logs.
#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <string_view>

namespace mp {

class Clock {
 public:
  Clock() { update(); }

  // Reads the kernel's clocks. Unix time may be shown up to a millisecond off, so that both turn together.
  void update();
  // The same where the monotonic clock was read just now: timers and what scripts see then never differ.
  void update(std::uint64_t monotonic_ms);
  // Sets the time by hand; for tests, and for update().
  void set(std::int64_t unix_seconds, int msec, std::uint64_t monotonic_ms);

  std::uint64_t monotonic_ms() const { return monotonic_ms_; }  // for timers; never goes back
  std::int64_t seconds() const { return seconds_; }             // Unix time
  int msec() const { return msec_; }                            // 0..999, of the current second
  double now() const { return static_cast<double>(seconds_) + msec_ / 1000.0; }
  int gmtoff_minutes() const { return gmtoff_minutes_; }  // local time minus UTC

  // Views of fixed length; the text under them changes at the next update().
  std::string_view error_log_time() const { return {error_log_time_, 19}; }  // 2024/01/31 09:08:07
  std::string_view http_date() const { return {http_date_, 29}; }            // Wed, 31 Jan 2024 09:08:07 GMT
  std::string_view clf_time() const { return {clf_time_, 26}; }              // 31/Jan/2024:09:08:07 +0000
  std::string_view iso8601() const { return {iso8601_, 25}; }                // 2024-01-31T09:08:07+00:00
  std::string_view syslog_time() const { return {syslog_time_, 15}; }        // Jan 31 09:08:07

 private:
  void rebuild();

  std::uint64_t monotonic_ms_ = 0;
  std::int64_t real_offset_ms_ = 0;  // Unix time minus monotonic_ms_
  std::int64_t seconds_ = -1;
  int msec_ = 0;
  int gmtoff_minutes_ = 0;
  char error_log_time_[20] = {};
  char http_date_[30] = {};
  char clf_time_[27] = {};
  char iso8601_[26] = {};
  char syslog_time_[16] = {};
};

namespace detail {
extern constinit thread_local Clock* thread_clock;
Clock& make_thread_clock();
}  // namespace detail

// The clock of this thread. That of a pool thread is set when a task begins.
inline Clock& clock() {
  Clock* const clock = detail::thread_clock;
  return clock != nullptr ? *clock : detail::make_thread_clock();
}

inline constexpr std::size_t kHttpDateSize = 29;
// Writes "Wed, 31 Jan 2024 09:08:07 GMT" (kHttpDateSize bytes, no terminator). Times outside the years
// 1970 to 9999 are moved to the nearest one inside.
void write_http_date(char* out, std::int64_t unix_seconds);
// Writes the cookie form "Wed, 31-Jan-24 09:08:07 GMT" (the year has four digits after 2037); returns its
// length, at most kHttpDateSize.
std::size_t write_cookie_date(char* out, std::int64_t unix_seconds);
// Reads the three date forms of RFC 9110; nothing when the text is none of them or names no real moment.
std::optional<std::int64_t> parse_http_date(std::string_view text);

}  // namespace mp
