#include "base/clock.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>

namespace mp {
namespace {

constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::int64_t kLastSecond = 253402300799;  // 9999-12-31 23:59:59

// Numbers of a known width, without the cost and the size warnings of printf.
void put2(char* out, int value) {
  out[0] = static_cast<char>('0' + value / 10 % 10);
  out[1] = static_cast<char>('0' + value % 10);
}
void put4(char* out, int value) {
  put2(out, value / 100);
  put2(out + 2, value % 100);
}
// "HH:MM:SS"
void put_time(char* out, const std::tm& tm) {
  put2(out, tm.tm_hour);
  out[2] = ':';
  put2(out + 3, tm.tm_min);
  out[5] = ':';
  put2(out + 6, tm.tm_sec);
}

// The parts of a UTC date that are written. gmtime_r() would take the lock of the time zone and walk over
// years.
std::tm utc(std::int64_t seconds) {
  const auto t = static_cast<std::uint64_t>(std::clamp<std::int64_t>(seconds, 0, kLastSecond));
  const auto days = static_cast<unsigned>(t / 86400);
  const auto second = static_cast<int>(t % 86400);
  // Years that begin in March: a leap day ends its year. Counted from 1 March of the year 0, in the eras of
  // 400 years after which dates repeat.
  constexpr unsigned kToEpoch = 719468;
  const unsigned day = days + kToEpoch;
  const unsigned era = day / 146097;
  const unsigned of_era = day % 146097;
  const unsigned year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  const unsigned of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const unsigned month = (5 * of_year + 2) / 153;  // 0: March
  const bool next_year = month >= 10;              // January and February
  std::tm tm{};
  tm.tm_year = static_cast<int>(year_of_era + era * 400 + (next_year ? 1 : 0)) - 1900;
  tm.tm_mon = static_cast<int>(next_year ? month - 10 : month + 2);
  tm.tm_mday = static_cast<int>(of_year - (153 * month + 2) / 5 + 1);
  tm.tm_wday = static_cast<int>((days + 4) % 7);  // 1 January 1970 was a Thursday
  tm.tm_hour = second / 3600;
  tm.tm_min = second / 60 % 60;
  tm.tm_sec = second % 60;
  return tm;
}

std::int64_t days_before_year(int year) {
  const std::int64_t y = year - 1;
  return y * 365 + y / 4 - y / 100 + y / 400;
}

bool leap(int year) {
  return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

struct Date {
  int year, month, day, hour, minute, second;
};

std::optional<std::int64_t> to_unix(const Date& d) {
  static constexpr int kLength[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (d.year < 1970 || d.day < 1 || d.hour > 23 || d.minute > 59 || d.second > 59) return std::nullopt;
  const int length = kLength[d.month] + (d.month == 1 && leap(d.year) ? 1 : 0);
  if (d.day > length) return std::nullopt;
  std::int64_t days = days_before_year(d.year) - days_before_year(1970) + d.day - 1;
  for (int m = 0; m < d.month; ++m) days += kLength[m] + (m == 1 && leap(d.year) ? 1 : 0);
  return days * 86400 + d.hour * 3600 + d.minute * 60 + d.second;
}

// A reader over the text that remembers whether everything matched so far.
struct Scanner {
  std::string_view rest;
  bool ok = true;

  void expect(std::string_view text) {
    ok = ok && rest.substr(0, text.size()) == text;
    if (ok) rest.remove_prefix(text.size());
  }
  int number(std::size_t digits) {
    if (!ok || rest.size() < digits) return ok = false, 0;
    int value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      if (rest[i] < '0' || rest[i] > '9') return ok = false, 0;
      value = value * 10 + (rest[i] - '0');
    }
    rest.remove_prefix(digits);
    return value;
  }
  int month() {
    for (int m = 0; m < 12; ++m) {
      if (rest.substr(0, 3) == kMonths[m]) {
        rest.remove_prefix(3);
        return m;
      }
    }
    return ok = false, 0;
  }
  void time(Date& d) {
    d.hour = number(2);
    expect(":");
    d.minute = number(2);
    expect(":");
    d.second = number(2);
  }
};

}  // namespace

void Clock::update() {
  timespec mono{};
  clock_gettime(CLOCK_MONOTONIC, &mono);
  update(static_cast<std::uint64_t>(mono.tv_sec) * 1000 + static_cast<std::uint64_t>(mono.tv_nsec / 1000000));
}

void Clock::update(std::uint64_t monotonic_ms) {
  timespec real{};
  clock_gettime(CLOCK_REALTIME, &real);
  const std::int64_t real_ms = std::int64_t{real.tv_sec} * 1000 + real.tv_nsec / 1000000;
  const auto mono_ms = static_cast<std::int64_t>(monotonic_ms);
  // Both clocks turn at the same instant: a span of time has the same length by either.
  if (std::abs(real_ms - mono_ms - real_offset_ms_) > 1) real_offset_ms_ = real_ms - mono_ms;
  const std::int64_t shown = mono_ms + real_offset_ms_;
  set(shown / 1000, static_cast<int>(shown % 1000), monotonic_ms);
}

void Clock::set(std::int64_t unix_seconds, int msec, std::uint64_t monotonic_ms) {
  monotonic_ms_ = monotonic_ms;
  msec_ = msec;
  if (unix_seconds == seconds_) return;
  seconds_ = unix_seconds;
  rebuild();
}

void Clock::rebuild() {
  const std::time_t t = seconds_;
  std::tm tm{};
  localtime_r(&t, &tm);
  gmtoff_minutes_ = static_cast<int>(tm.tm_gmtoff / 60);
  const int year = tm.tm_year + 1900;
  const int off = gmtoff_minutes_ < 0 ? -gmtoff_minutes_ : gmtoff_minutes_;
  const char sign = gmtoff_minutes_ < 0 ? '-' : '+';
  const char* month = kMonths[tm.tm_mon];

  std::memcpy(error_log_time_, "0000/00/00 ", 11);
  put4(error_log_time_, year);
  put2(error_log_time_ + 5, tm.tm_mon + 1);
  put2(error_log_time_ + 8, tm.tm_mday);
  put_time(error_log_time_ + 11, tm);

  write_http_date(http_date_, seconds_);

  std::memcpy(clf_time_, "00/Mon/0000:00:00:00 +0000", 26);
  put2(clf_time_, tm.tm_mday);
  std::memcpy(clf_time_ + 3, month, 3);
  put4(clf_time_ + 7, year);
  put_time(clf_time_ + 12, tm);
  clf_time_[21] = sign;
  put2(clf_time_ + 22, off / 60);
  put2(clf_time_ + 24, off % 60);

  std::memcpy(iso8601_, "0000-00-00T00:00:00+00:00", 25);
  put4(iso8601_, year);
  put2(iso8601_ + 5, tm.tm_mon + 1);
  put2(iso8601_ + 8, tm.tm_mday);
  put_time(iso8601_ + 11, tm);
  iso8601_[19] = sign;
  put2(iso8601_ + 20, off / 60);
  put2(iso8601_ + 23, off % 60);

  std::memcpy(syslog_time_, "Mon 00 ", 7);
  std::memcpy(syslog_time_, month, 3);
  put2(syslog_time_ + 4, tm.tm_mday);
  if (tm.tm_mday < 10) syslog_time_[4] = ' ';
  put_time(syslog_time_ + 7, tm);
}

namespace detail {

constinit thread_local Clock* thread_clock = nullptr;

Clock& make_thread_clock() {
  thread_local Clock instance;
  thread_clock = &instance;
  return instance;
}

}  // namespace detail

namespace {

// Dates that were written lately: files and cached responses show the same ones again and again.
struct WrittenDate {
  std::int64_t seconds = 0;
  char text[kHttpDateSize + 1] = {};  // empty: none yet
};
constinit thread_local WrittenDate written_dates[16];

[[gnu::noinline]] void render_http_date(char* out, std::int64_t unix_seconds) {
  const std::tm tm = utc(unix_seconds);
  std::memcpy(out, "Day, 00 Mon 0000 00:00:00 GMT", kHttpDateSize);
  std::memcpy(out, kDays[tm.tm_wday], 3);
  put2(out + 5, tm.tm_mday);
  std::memcpy(out + 8, kMonths[tm.tm_mon], 3);
  put4(out + 12, tm.tm_year + 1900);
  put_time(out + 17, tm);
}

}  // namespace

void write_http_date(char* out, std::int64_t unix_seconds) {
  WrittenDate& date = written_dates[static_cast<std::uint64_t>(unix_seconds) % std::size(written_dates)];
  if (date.seconds != unix_seconds || date.text[0] == '\0') {
    render_http_date(date.text, unix_seconds);
    date.seconds = unix_seconds;
  }
  std::memcpy(out, date.text, kHttpDateSize);
}

std::size_t write_cookie_date(char* out, std::int64_t unix_seconds) {
  write_http_date(out, unix_seconds);
  out[7] = out[11] = '-';
  const std::tm tm = utc(unix_seconds);
  if (tm.tm_year + 1900 > 2037) return kHttpDateSize;
  std::memmove(out + 12, out + 14, kHttpDateSize - 14);
  return kHttpDateSize - 2;
}

std::optional<std::int64_t> parse_http_date(std::string_view text) {
  const std::size_t comma = text.find(',');
  Date d{};
  if (comma == std::string_view::npos) {  // asctime: "Sun Nov  6 08:49:37 1994"
    if (text.size() < 4) return std::nullopt;
    Scanner s{text.substr(3)};
    s.expect(" ");
    d.month = s.month();
    s.expect(" ");
    if (s.rest.substr(0, 1) == " ") {
      s.expect(" ");
      d.day = s.number(1);
    } else {
      d.day = s.number(2);
    }
    s.expect(" ");
    s.time(d);
    s.expect(" ");
    d.year = s.number(4);
    return s.ok ? to_unix(d) : std::nullopt;
  }
  Scanner s{text.substr(comma + 1)};
  while (s.rest.substr(0, 1) == " ") s.rest.remove_prefix(1);
  d.day = s.number(2);
  const bool rfc850 = s.rest.substr(0, 1) == "-";  // "Sunday, 06-Nov-94 08:49:37 GMT"
  s.expect(rfc850 ? "-" : " ");
  d.month = s.month();
  s.expect(rfc850 ? "-" : " ");
  if (rfc850) {
    d.year = s.number(2);
    d.year += d.year < 70 ? 2000 : 1900;
  } else {
    d.year = s.number(4);
  }
  s.expect(" ");
  s.time(d);
  return s.ok ? to_unix(d) : std::nullopt;  // all dates of HTTP are GMT, whether they say so or not
}

}  // namespace mp
