// srcache_store: a response that may be kept is copied on its way to the client; when the client has it, a
// subrequest gets the copy as its body, head included.
#include <algorithm>
#include <string>

#include "base/clock.hpp"
#include "base/numbers.hpp"
#include "base/strings.hpp"
#include "filters/srcache.hpp"
#include "http/piece_text.hpp"
#include "http/request.hpp"
#include "http/status.hpp"
#include "http/subrequest.hpp"

namespace mp::filters {

using http::HeaderField;
using http::HeaderId;
using http::Output;
using http::Request;

namespace {

bool wanted_status(int status, const SrcacheConf& conf) {
  if (status == 206) return conf.store_ranges;
  if (!conf.store_statuses.empty()) {
    return std::find(conf.store_statuses.begin(), conf.store_statuses.end(), status) !=
           conf.store_statuses.end();
  }
  return status == 200 || status == 301 || status == 302 || status == 307 || status == 308;
}

// What Cache-Control says, of all fields of that name.
struct CacheControl {
  bool is_private = false;
  bool no_store = false;
  bool no_cache = false;
  std::optional<std::int64_t> max_age;

  explicit CacheControl(const http::Headers& headers) {
    for (const HeaderField& field : headers) {
      if (field.id != HeaderId::cache_control) continue;
      for (std::string_view item : split(field.value, ',')) {
        item = trim(item);
        const std::string_view name = item.substr(0, item.find('='));
        if (equals_nocase(name, "private")) is_private = true;
        if (equals_nocase(name, "no-store")) no_store = true;
        if (equals_nocase(name, "no-cache")) no_cache = true;
        if (equals_nocase(name, "max-age") && name.size() < item.size()) {
          max_age = parse_natural<std::int64_t>(item.substr(name.size() + 1));
        }
      }
    }
  }
};

// How many seconds the response may be kept; nothing: not at all.
std::optional<std::int64_t> time_to_live(Request& r, const SrcacheConf& conf) {
  std::int64_t seconds = conf.default_expire;
  if (conf.response_cache_control) {
    const CacheControl control(r.out.headers);
    if (control.is_private && !conf.store_private) return std::nullopt;
    if (control.no_store && !conf.store_no_store) return std::nullopt;
    if (control.no_cache && !conf.store_no_cache) return std::nullopt;
    if (control.max_age) {
      if (*control.max_age == 0) return std::nullopt;
      seconds = *control.max_age;
    } else if (const HeaderField* expires = r.out.headers.find(HeaderId::expires)) {
      const auto when = parse_http_date(expires->value);
      if (!when || *when <= clock().seconds()) return std::nullopt;
      seconds = *when - clock().seconds();
    }
  }
  const std::int64_t most = conf.max_expire;
  return most > 0 ? std::min(seconds, most) : seconds;
}

void append_field(std::string& text, std::string_view name, std::string_view value) {
  text.append(name).append(": ").append(value).append("\r\n");
}

// The head as it is kept.
std::string render_head(const Request& r, const SrcacheConf& conf) {
  const auto& out = r.out;
  std::string text = "HTTP/1.1 ";
  std::string_view line = out.status_line;
  if (line.empty()) line = http::status_line(out.status);
  text.append(line.empty() ? std::to_string(out.status) : std::string(line)).append("\r\n");
  if (!out.content_type.empty()) {
    append_field(text, "Content-Type",
                 out.charset.empty()
                     ? std::string(out.content_type)
                     : std::string(out.content_type).append("; charset=").append(out.charset));
  }
  if (out.last_modified >= 0) {
    char date[kHttpDateSize];
    write_http_date(date, out.last_modified);
    append_field(text, "Last-Modified", {date, kHttpDateSize});
  }
  for (const HeaderField& field : out.headers) {
    const bool own = field.id == HeaderId::server || field.id == HeaderId::date;
    if (!own && !conf.hidden->has(field)) append_field(text, field.name, field.value);
  }
  return text.append("\r\n");
}

class StoreBody final : public http::BodyFilter {
 public:
  StoreBody(const SrcacheConf& conf, std::string head, std::int64_t length)
      : conf_(conf), copy_(std::move(head)), head_size_(copy_.size()), length_(length) {}

  bool write(Request& r, const Output& output) override {
    if (keeping_ && !http::append_text(copy_, output)) keeping_ = false;
    const std::size_t most = conf_.store_max_size;
    if (keeping_ && most != 0 && copy_.size() > most) {
      log::info(r.logger, "srcache_store bypassed because of too large body: {} bytes (limit is: {})",
                copy_.size() - head_size_, most);
      keeping_ = false;
    }
    if (!keeping_) copy_ = {};
    const bool sent = next(r, output);
    if (output.last && keeping_) store(r);
    return sent;
  }

 private:
  void store(Request& r) {
    keeping_ = false;
    const auto size = static_cast<std::int64_t>(copy_.size() - head_size_);
    if (length_ >= 0 && size != length_) {
      log::warn(r.logger, "srcache_store: skipped because response body truncated: {} > {}", length_, size);
      return;
    }
    if (srcache_skips(r, conf_.store_skip.get())) return;
    r.ctx<SrcacheState>().stored = true;
    http::SubrequestOptions options;
    options.method = conf_.store->method;
    options.args = conf_.store->args.evaluate(r);
    options.has_body = true;
    options.body = copy_;
    http::probe(r, conf_.store->uri.evaluate(r), options, nullptr);
  }

  const SrcacheConf& conf_;
  std::string copy_;
  std::size_t head_size_;
  std::int64_t length_;
  bool keeping_ = true;
};

}  // namespace

void srcache_store(Request& r) {
  const auto& conf = r.conf<SrcacheConf>();
  if (conf.store == nullptr || r.is_sub() || r.header_only) return;
  const auto* before = r.find_ctx<SrcacheState>();
  if (before != nullptr && before->fetched) return;
  if (!srcache_wants_method(r, conf) || !wanted_status(r.out.status, conf)) return;
  if (conf.request_cache_control && request_cache_control_has(r, "no-store")) return;
  if (!conf.ignore_content_encoding) {
    if (const HeaderField* encoding = r.out.headers.find(HeaderId::content_encoding)) {
      log::warn(r.logger,
                "srcache_store skipped due to response header \"Content-Encoding: {}\" (maybe you forgot to "
                "disable "
                "compression on the backend?)",
                encoding->value);
      return;
    }
  }
  const auto seconds = time_to_live(r, conf);
  if (!seconds || srcache_skips(r, conf.store_skip.get())) return;
  r.ctx<SrcacheState>().expire = seconds;
  r.add_body_filter<StoreBody>(conf, render_head(r, conf), r.out.content_length);
}

}  // namespace mp::filters
