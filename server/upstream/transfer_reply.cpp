// The head of the response: reading it, what it asks of this server, and what of it goes to the client.
#include <algorithm>
#include <array>
#include <cerrno>
#include <initializer_list>
#include <utility>

#include "base/clock.hpp"
#include "base/escape.hpp"
#include "base/numbers.hpp"
#include "base/strings.hpp"
#include "http/content_type.hpp"
#include "http/core_conf.hpp"
#include "http/uri.hpp"
#include "upstream/early_hints.hpp"
#include "upstream/h2_exchange.hpp"
#include "upstream/transfer.hpp"
#include "upstream/upstream.hpp"

namespace mp::upstream {
namespace {

using http::HeaderField;
using http::HeaderId;
using http::Step;

constexpr int kEarlyHints = 103;

template <class T>
using ByHeader = std::array<T, http::kHeaderIdCount>;

// What note_fields() looks for: a bit for each of these fields, none for any other.
constexpr HeaderId kOnceFields[] = {HeaderId::status,         HeaderId::content_type,  HeaderId::date,
                                    HeaderId::etag,           HeaderId::server,        HeaderId::location,
                                    HeaderId::refresh,        HeaderId::last_modified, HeaderId::expires,
                                    HeaderId::x_accel_expires};
constexpr HeaderId kControlFields[] = {HeaderId::x_accel_buffering, HeaderId::x_accel_charset};
constexpr std::uint32_t kRedirect = 1;
constexpr std::uint32_t kLimitRate = 2;
constexpr std::uint32_t kControl = 4;
constexpr std::uint32_t kFirstOnce = 8;
constexpr ByHeader<std::uint32_t> kNoted = [] {
  ByHeader<std::uint32_t> bits{};
  const auto bit_of = [&bits](HeaderId id) -> std::uint32_t& { return bits[static_cast<std::size_t>(id)]; };
  bit_of(HeaderId::x_accel_redirect) = kRedirect;
  bit_of(HeaderId::x_accel_limit_rate) = kLimitRate;
  for (const HeaderId id : kControlFields) bit_of(id) = kControl;
  std::uint32_t next = kFirstOnce;
  for (const HeaderId id : kOnceFields) bit_of(id) = std::exchange(next, next << 1);
  return bits;
}();

// Fields of which the first counts and every other one is a mistake of the server.
constexpr bool comes_once(HeaderId id) {
  return (kNoted[static_cast<std::size_t>(id)] & ~kControl) != 0;
}

// What copy_head() does with a field.
enum class Copy : std::uint8_t {
  plain,
  type,
  looked_at,  // by copy_field()
  left,  // it says where the message ends, and what becomes of the connection then: the client's side has
         // its own
};
constexpr ByHeader<Copy> kCopies = [] {
  ByHeader<Copy> copies{};
  const auto set = [&copies](Copy how, std::initializer_list<HeaderId> ids) {
    for (const HeaderId id : ids) copies[static_cast<std::size_t>(id)] = how;
  };
  set(Copy::type, {HeaderId::content_type});
  set(Copy::looked_at, {HeaderId::last_modified, HeaderId::accept_ranges, HeaderId::upgrade,
                        HeaderId::location, HeaderId::refresh, HeaderId::set_cookie});
  set(Copy::left,
      {HeaderId::content_length, HeaderId::connection, HeaderId::keep_alive, HeaderId::transfer_encoding});
  return copies;
}();

// Fields that an X-Accel-Redirect takes along.
constexpr bool survives_redirect(HeaderId id) {
  switch (id) {
    case HeaderId::content_type:
    case HeaderId::set_cookie:
    case HeaderId::content_disposition:
    case HeaderId::cache_control:
    case HeaderId::expires:
    case HeaderId::accept_ranges:
      return true;
    default:
      return false;
  }
}

inline void copy_content_type(http::Request& r, std::string_view value) {
  r.out.content_type = value;
  if (value.find(';') != std::string_view::npos) http::part_content_type(r);
}

}  // namespace

// ---- reading it

// Not before there is something to read: a request that waits holds as little as it can, and gets the memory
// that another one has just left.
void Transfer::begin_reply() {
  if (buffer_ == nullptr) buffer_ = r_.arena.bytes(conf_.buffer_size);
  buffered_ = 0;
  hints_size_ = 0;
  reply_ = r_.arena.make<Reply>(r_.arena);
  dialect_.restart();
}

std::uint32_t Transfer::read_head() {
  history_.headers = history_.trailers = nullptr;
  if (dialect_.answers_itself()) [[unlikely]] {
    begin_reply();
    std::size_t none = 0;
    (void)dialect_.read_head(r_, {}, *reply_, none);
    return head_complete(0);
  }
  if (const auto failure = wait_for_head()) return failure;
  begin_reply();
  std::size_t start = 0;  // behind interim heads
  for (;;) {
    if (!link_->has_input()) [[unlikely]] {
      if (const auto failure = wait_for_head()) return failure;
    }
    const net::Io io = link_->try_read({buffer_ + buffered_, conf_.buffer_size - buffered_});
    if (io.kind == net::Io::Kind::again) continue;
    if (io.kind == net::Io::Kind::eof) [[unlikely]] {
      log_early_end();
      // An HTTP/2 server that resets the stream, or breaks the rules, may have done the work.
      const H2Exchange* stream = link_->exchange;
      const bool answered = stream != nullptr && stream->explained() && !stream->refused();
      return answered ? kInvalidHeader : kFailedError;
    }
    if (!io.ok()) [[unlikely]] {
      log_io(io, "recv()");
      return kFailedError;
    }
    buffered_ += io.bytes;
    for (bool again = true; again;) {
      std::size_t consumed = 0;
      const auto what = dialect_.read_head(r_, {buffer_ + start, buffered_ - start}, *reply_, consumed);
      again = what == Dialect::Head::interim;
      start += consumed;
      if (what == Dialect::Head::invalid) return kInvalidHeader;
      if (what == Dialect::Head::complete) return head_complete(start);
      if (again && reply_->status == kEarlyHints) pass_hints();
      if (again && start == buffered_) break;
    }
    if (buffered_ < conf_.buffer_size) continue;
    if (const std::size_t done = dialect_.forget()) {
      std::copy(buffer_ + done, buffer_ + buffered_, buffer_);
      buffered_ -= done;
      continue;
    }
    if (start == 0) {
      log::error(r_.logger, "upstream sent too big header");
      return kInvalidHeader;
    }
    // Interim heads are over and done with; the one to come gets their room.
    std::copy(buffer_ + start, buffer_ + buffered_, buffer_);
    buffered_ -= start;
    start = 0;
    dialect_.restart();
  }
}

// Until bytes have come. While the client's body is still on its way, only that may take time.
std::uint32_t Transfer::wait_for_head() {
  while (!link_->has_input()) {
    if (body_failure_ != 0) return kFailedError;
    if (send_failure_ != kNoFailure) {
      return has_last_words(send_failure_) ? std::uint32_t{kNoFailure} : send_failure_;
    }
    if (!link_->wait_readable_or(reader_, head_deadline_)) {
      if (fiber::now() >= head_deadline_) return kFailedTimeout;
    }
  }
  return kNoFailure;
}

std::uint32_t Transfer::head_complete(std::size_t size) {
  head_size_ = size;
  try_->header_time = static_cast<std::int64_t>(fiber::now() - try_started_);
  try_->status = reply_->status;
  if (link_ != nullptr) try_->bytes_received = link_->bytes_read - link_->read_before;
  history_.headers = &reply_->fields;
  balancer_->header_time = try_->header_time;
  balancer_->head_came(r_);
  if (sticky_ != nullptr) sticky_->head_came(balancer_->target.sid);
  note_fields();
  return kNoFailure;
}

// A 103 response; the one it announces gets a fresh Reply.
void Transfer::pass_hints() {
  for (const HeaderField& field : reply_->fields) hints_size_ += field.name.size() + field.value.size() + 4;
  if (hints_size_ > conf_.buffer_size) {
    log::info(r_.logger, "upstream sent too big early hints");
  } else {
    send_early_hints(r_, reply_->fields, *conf_.hidden);
  }
  reply_ = r_.arena.make<Reply>(r_.arena);
}

// Which fields have come decides what there is to do about them.
void Transfer::note_fields() {
  std::uint32_t noted = 0;
  std::uint32_t again = 0;
  for (const HeaderField& field : reply_->fields) {
    const std::uint32_t bit = kNoted[static_cast<std::size_t>(field.id)];
    again |= noted & bit;
    noted |= bit;
  }
  noted_ = noted;
  if ((again & ~kControl) != 0) drop_duplicates();
  if ((noted & (kControl | kLimitRate)) != 0) obey_controls();
}

bool Transfer::wants_redirect() const {
  return (noted_ & kRedirect) != 0;
}

void Transfer::drop_duplicates() {
  http::Headers kept(r_.arena);
  for (const HeaderField& field : reply_->fields) {
    const HeaderField* first = comes_once(field.id) ? kept.find(field.id) : nullptr;
    if (first == nullptr) {
      kept.add(field);
      continue;
    }
    log::warn(r_.logger,
              "upstream sent duplicate header line: \"{}: {}\", previous value: \"{}: {}\", ignored",
              field.name, field.value, first->name, first->value);
  }
  reply_->fields = kept;
}

// Fields by which the server steers this one.
void Transfer::obey_controls() {
  for (const HeaderField& field : reply_->fields) {
    switch (field.id) {
      case HeaderId::x_accel_limit_rate:
        if ((conf_.ignore_headers & kIgnoreAccelLimitRate) != 0) break;
        if (const auto rate = parse_natural<std::int64_t>(field.value)) r_.limit_rate = *rate;
        break;
      case HeaderId::x_accel_buffering:
        if ((conf_.ignore_headers & kIgnoreAccelBuffering) != 0) break;
        if (equals_nocase(field.value, "no")) buffering_ = false;
        if (equals_nocase(field.value, "yes")) buffering_ = true;
        break;
      case HeaderId::x_accel_charset:
        if ((conf_.ignore_headers & kIgnoreAccelCharset) == 0) r_.out.override_charset = field.value;
        break;
      default:
        break;
    }
  }
}

// ---- answers that are not passed on

// The bit of a status for which another server may be asked instead.
std::uint32_t Transfer::status_failure(int status) {
  switch (status) {
    case 500:
      return kHttp500;
    case 502:
      return kHttp502;
    case 503:
      return kHttp503;
    case 504:
      return kHttp504;
    case 403:
      return kHttp403;
    case 404:
      return kHttp404;
    case 429:
      return kHttp429;
    default:
      return kNoFailure;
  }
}

std::uint32_t Transfer::judge_status() const {
  const std::uint32_t failure = status_failure(reply_->status);
  if (failure == kNoFailure) return kNoFailure;
  return balancer_->tries > 1 && may_try_again(failure) ? failure : kNoFailure;
}

// proxy_intercept_errors: the location's error page takes the place of this response.
std::optional<Step> Transfer::intercept() {
  if (conf_.intercept_404 && reply_->status == 404) {
    if (cache_) cache_->remember(404, reply_);
    keep_or_close(reply_->no_body || reply_->content_length == 0);
    return Step::finish(404);
  }
  if (!conf_.intercept_errors) return std::nullopt;
  const auto& pages = r_.conf<http::CoreLocation>().error_pages;
  const int status = reply_->status;
  const bool wanted =
      std::any_of(pages.begin(), pages.end(), [status](const auto& p) { return p.status == status; });
  if (!wanted) return std::nullopt;
  if (cache_) cache_->remember(status, reply_);
  if (status == 401) {
    for (const HeaderField& field : reply_->fields) {
      if (field.id == HeaderId::www_authenticate) r_.out.headers.add(field);
    }
  }
  keep_or_close(reply_->no_body || reply_->content_length == 0);
  return Step::finish(status);
}

std::optional<Step> Transfer::accel_redirect() {
  if ((conf_.ignore_headers & kIgnoreAccelRedirect) != 0) return std::nullopt;
  if (!kept_) keep_or_close(reply_->no_body || reply_->content_length == 0);
  for (const HeaderField& field : reply_->fields) {
    if (survives_redirect(field.id)) copy_field(field);
  }
  const std::string_view target = reply_->fields.find(HeaderId::x_accel_redirect)->value;
  if (target.starts_with('@')) return r_.named_location(target);
  const auto uri = http::parse_internal_uri(r_.arena, target);
  if (!uri) {
    log::error(r_.logger, "unsafe URI \"{}\" was detected", unescape_uri(r_.arena, target, Unescape::all));
    return Step::finish(404);
  }
  if (r_.method != http::Method::head) {
    r_.method = http::Method::get;
    r_.method_text = "GET";
  }
  return r_.internal_redirect(uri->path, uri->args);
}

// ---- what goes to the client

void Transfer::copy_head() {
  const NameSet& hidden = *conf_.hidden;
  for (const HeaderField& field : reply_->fields) {
    if (hidden.has(field)) continue;
    switch (kCopies[static_cast<std::size_t>(field.id)]) {
      case Copy::plain:
        r_.out.headers.add(field);
        break;
      case Copy::type:
        copy_content_type(r_, field.value);
        break;
      case Copy::looked_at:
        copy_field(field);
        break;
      case Copy::left:
        break;
    }
  }
  r_.out.status = reply_->status;
  r_.out.status_line = reply_->status_line;
  r_.out.content_length = reply_->content_length;
  // What to answer to conditions is mostly for the server to say: it has seen them.
  r_.out.conditional = reply_->conditional || kept_ || keepable();
  if (conf_.force_ranges) {
    r_.out.allow_ranges = true;
    r_.out.single_range = !kept_;
  }
}

void Transfer::copy_field(const HeaderField& field) {
  switch (field.id) {
    case HeaderId::content_type:
      return copy_content_type(r_, field.value);
    case HeaderId::last_modified:
      if (const auto time = parse_http_date(field.value)) {
        r_.out.last_modified = *time;
        return;
      }
      break;
    case HeaderId::accept_ranges:
      if (conf_.force_ranges) return;
      if (!kept_ && !keepable()) break;
      r_.out.allow_ranges = true;
      r_.out.single_range = !kept_;
      return;
    case HeaderId::upgrade:
      if (r_.version >= http::Version::http20) return;
      break;
    case HeaderId::location:
      return copy_redirect(field, 0);
    case HeaderId::refresh: {
      const auto at = std::search(field.value.begin(), field.value.end(), std::begin("url="),
                                  std::end("url=") - 1, [](char a, char b) { return to_lower(a) == b; });
      if (at == field.value.end()) break;
      return copy_redirect(field, static_cast<std::size_t>(at - field.value.begin()) + 4);
    }
    case HeaderId::set_cookie:
      if (const std::string_view value = dialect_.rewrite_cookie(r_, field.value); value.data() != nullptr) {
        return r_.out.headers.add({field.name, value, field.id});
      }
      break;
    default:
      break;
  }
  r_.out.headers.add(field);
}

// The URL behind `prefix` characters of the value may name the server behind this one.
void Transfer::copy_redirect(const HeaderField& field, std::size_t prefix) {
  HeaderField copy = field;
  const std::string_view url = dialect_.rewrite_redirect(r_, field.value.substr(prefix));
  if (url.data() != nullptr) {
    copy.value = prefix == 0 ? url : r_.arena.concat(field.value.substr(0, prefix), url);
  } else if (prefix == 0 && field.value.starts_with('/')) {
    copy.id = HeaderId::unknown;  // relative as the server chose it
  }
  r_.out.headers.add(copy);
}

void Transfer::log_early_end() {
  if (link_->exchange != nullptr && link_->exchange->explained()) return;
  const log::Level level = link_was_stale() ? log::Level::info : log::Level::error;
  log::write(level, r_.logger, "upstream prematurely closed connection");
}

}  // namespace mp::upstream
