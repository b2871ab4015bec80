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

// The head as it is kept, as the response was before filters behind this one changed it.
struct KeptHead {
  std::string status;  // "200 OK"
  std::string type;
  std::string fields;

  KeptHead(const Request& r, const SrcacheConf& conf) : status(status_text(r)), type(r.out.content_type) {
    const auto& out = r.out;
    if (!type.empty() && !out.charset.empty()) type.append("; charset=").append(out.charset);
    if (out.last_modified >= 0) {
      char date[kHttpDateSize];
      write_http_date(date, out.last_modified);
      append_field(fields, "Last-Modified", {date, kHttpDateSize});
    }
    for (const HeaderField& field : out.headers) {
      const bool own = field.id == HeaderId::server || field.id == HeaderId::date;
      if (!own && !conf.hidden->has(field)) append_field(fields, field.name, field.value);
    }
  }

  // Ranges are taken from the response behind this filter, but what passes it are their bytes.
  void become_partial(const Request& r) {
    status = status_text(r);
    if (const HeaderField* range = r.out.headers.find(HeaderId::content_range)) {
      append_field(fields, range->name, range->value);
    } else {
      type = r.out.content_type;
    }
  }

  std::string text() const {
    std::string out = "HTTP/1.1 " + status + "\r\n";
    if (!type.empty()) append_field(out, "Content-Type", type);
    return out.append(fields).append("\r\n");
  }

 private:
  static std::string status_text(const Request& r) {
    std::string_view line = r.out.status_line;
    if (line.empty()) line = http::status_line(r.out.status);
    return line.empty() ? std::to_string(r.out.status) : std::string(line);
  }
};

class StoreBody final : public http::BodyFilter {
 public:
  StoreBody(const SrcacheConf& conf, const Request& r)
      : conf_(conf), head_(r, conf), length_(r.out.content_length), partial_(r.out.status == 206) {}

  bool write(Request& r, const Output& output) override {
    if (!begun_) begin(r);
    if (keeping_ && !http::append_text(copy_, output)) drop(r);
    const std::size_t most = conf_.store_max_size;
    if (keeping_ && most != 0 && copy_.size() > most) {
      log::info(r.logger, "srcache_store bypassed because of too large body: {} bytes (limit is: {})",
                copy_.size() - head_size_, most);
      drop(r);
    }
    const bool sent = next(r, output);
    if (output.last && keeping_) store(r);
    return sent;
  }

 private:
  void begin(Request& r) {
    begun_ = true;
    if (r.out.status == 206 && !partial_) {
      if (!conf_.store_ranges) return drop(r);
      head_.become_partial(r);
      length_ = r.out.content_length;
    }
    copy_ = head_.text();
    head_size_ = copy_.size();
  }

  void drop(Request& r) {
    keeping_ = false;
    copy_ = {};
    r.ctx<SrcacheState>().stored = false;
  }

  void store(Request& r) {
    const auto size = static_cast<std::int64_t>(copy_.size() - head_size_);
    if (length_ >= 0 && size != length_) {
      log::warn(r.logger, "srcache_store: skipped because response body truncated: {} > {}", length_, size);
      return drop(r);
    }
    if (srcache_skips(r, conf_.store_skip.get())) return drop(r);
    keeping_ = false;
    http::SubrequestOptions options;
    options.method = conf_.store->method;
    options.args = conf_.store->args.evaluate(r);
    options.has_body = true;
    options.body = copy_;
    http::probe(r, conf_.store->uri.evaluate(r), options, nullptr);
  }

  const SrcacheConf& conf_;
  KeptHead head_;
  std::string copy_;
  std::size_t head_size_ = 0;
  std::int64_t length_;
  bool partial_;  // it came so
  bool begun_ = false;
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
  auto& state = r.ctx<SrcacheState>();
  state.expire = seconds;
  state.stored = true;  // until something speaks against it: fields of the response may tell
  r.add_body_filter<StoreBody>(conf, r);
}

}  // namespace mp::filters
