#include "upstream/cache/freshness.hpp"

#include <algorithm>
#include <optional>

#include "base/ascii.hpp"
#include "base/clock.hpp"
#include "base/numbers.hpp"
#include "base/strings.hpp"
#include "upstream/cache/file.hpp"
#include "upstream/transfer_conf.hpp"

namespace mp::upstream {
namespace {

using http::HeaderField;
using http::HeaderId;

constexpr std::int64_t kForever = std::int64_t{1} << 40;  // seconds; more digits mean no more

// The number behind `name` ("max-age=") in a Cache-Control value; digits end at anything else.
std::optional<std::int64_t> seconds_of(std::string_view value, std::string_view name) {
  const std::size_t at = find_nocase(value, name);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view rest = value.substr(at + name.size());
  const std::size_t digits = std::min(rest.find_first_not_of("0123456789"), rest.size());
  if (digits < rest.size() && rest[digits] != ',' && rest[digits] != ';' && rest[digits] != ' ')
    return std::nullopt;
  if (digits == 0) return std::nullopt;
  return std::min(parse_natural<std::int64_t>(rest.substr(0, digits)).value_or(kForever), kForever);
}

bool has_word(std::string_view value, std::string_view word) {
  return find_nocase(value, word) != std::string_view::npos;
}

class Judge {
 public:
  Judge(const http::Headers& fields, std::int64_t now, std::uint64_t ignored)
      : fields_(fields), now_(now), ignored_(ignored) {}

  Freshness run() {
    const bool accel = read_accel_expires();
    if (!accel) {
      read_cache_control();
      read_expires();
    }
    read_extensions();
    if ((ignored_ & kIgnoreSetCookie) == 0 && fields_.find(HeaderId::set_cookie) != nullptr)
      out_.may_keep = false;
    read_vary();
    if (refused_) out_.may_keep = false;
    return out_;
  }

 private:
  // It overrules the others. "@1700000000" is a time, "10" so many seconds.
  bool read_accel_expires() {
    const HeaderField* field = fields_.find(HeaderId::x_accel_expires);
    if (field == nullptr || (ignored_ & kIgnoreAccelExpires) != 0 || field->value.empty()) return false;
    std::string_view text = field->value;
    const bool absolute = consume(text, "@");
    const auto number = parse_natural<std::int64_t>(text);
    if (!number) return false;
    if (absolute) {
      out_.valid_until = *number;
      return true;
    }
    if (*number == 0) out_.may_keep = false;
    out_.valid_until = *number == 0 ? 0 : now_ + *number;
    return true;
  }

  void read_cache_control() {
    if ((ignored_ & kIgnoreCacheControl) != 0) return;
    const std::string_view value = fields_.joined(HeaderId::cache_control, ", ");
    if (value.empty()) return;
    if (has_word(value, "no-cache") || has_word(value, "no-store") || has_word(value, "private")) {
      refused_ = true;
      return;
    }
    auto age = seconds_of(value, "s-maxage=");
    if (!age) age = seconds_of(value, "max-age=");
    if (!age) {
      if (has_word(value, "s-maxage=") || has_word(value, "max-age=")) refused_ = true;
    } else if (*age == 0) {
      refused_ = true;
    } else {
      out_.valid_until = now_ + *age;
    }
  }

  void read_extensions() {
    if ((ignored_ & kIgnoreCacheControl) != 0) return;
    const std::string_view value = fields_.joined(HeaderId::cache_control, ", ");
    out_.stale_updating = seconds_of(value, "stale-while-revalidate=").value_or(0);
    out_.stale_error = seconds_of(value, "stale-if-error=").value_or(0);
  }

  void read_expires() {
    const HeaderField* field = fields_.find(HeaderId::expires);
    if (field == nullptr || (ignored_ & kIgnoreExpires) != 0 || out_.valid_until != 0) return;
    const auto time = parse_http_date(field->value);
    if (!time || *time < now_) {
      refused_ = true;
      return;
    }
    out_.valid_until = *time;
  }

  void read_vary() {
    if ((ignored_ & kIgnoreVary) != 0) return;
    const std::string_view value = fields_.joined(HeaderId::vary, ", ");
    if (value.empty()) return;
    if (value.size() > kMostVary || value.find('*') != std::string_view::npos) {
      out_.may_keep = false;
      return;
    }
    out_.vary = value;
  }

  const http::Headers& fields_;
  std::int64_t now_;
  std::uint64_t ignored_;
  Freshness out_;
  bool refused_ = false;
};

}  // namespace

Freshness judge_freshness(const http::Headers& fields, std::int64_t now, std::uint64_t ignored) {
  return Judge(fields, now, ignored).run();
}

}  // namespace mp::upstream
