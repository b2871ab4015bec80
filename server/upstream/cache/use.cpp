#include "upstream/cache/use.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ascii.hpp"
#include "base/clock.hpp"
#include "base/digest.hpp"
#include "base/numbers.hpp"
#include "base/strings.hpp"
#include "fiber/scheduler.hpp"
#include "upstream/move_file.hpp"
#include "upstream/transfer_conf.hpp"

namespace mp::upstream {
namespace {

using http::HeaderField;
using http::HeaderId;
using http::Request;
using Answer = CacheUse::Answer;

std::int64_t now() {
  return clock().seconds();
}

// The values of one request field that matter, in a form that does not depend on blanks where those do not.
void add_field(Md5& sum, const http::Headers& fields, std::string_view name) {
  const bool list = equals_nocase(name, "Accept-Charset") || equals_nocase(name, "Accept-Encoding") ||
                    equals_nocase(name, "Accept-Language");
  bool more = false;
  const auto add = [&](std::string_view value) {
    if (more) sum.add(",");
    sum.add(value);
    more = true;
  };
  for (const HeaderField& field : fields) {
    if (!equals_nocase(field.name, name)) continue;
    if (!list) {
      add(field.value);
      continue;
    }
    std::string_view rest = field.value;
    for (;;) {
      const std::size_t begin = rest.find_first_not_of(" ,");
      if (begin == std::string_view::npos) break;
      rest.remove_prefix(begin);
      const std::size_t end = std::min(rest.find_first_of(" ,"), rest.size());
      add(rest.substr(0, end));
      rest.remove_prefix(end);
    }
  }
}

}  // namespace

CacheKey cache_key_of(std::string_view key) {
  const auto sum = md5(key);
  CacheKey out;
  std::copy(sum.begin(), sum.end(), out.begin());
  return out;
}

CacheUse::CacheUse(Request& request, const TransferConf& conf, CacheZone& zone, std::string_view key)
    : r_(request),
      conf_(conf),
      cache_(conf.cache),
      zone_(zone),
      info_(request.ctx<CacheInfo>()),
      key_(key),
      key_crc_(crc32(key)),
      main_(cache_key_of(key)),
      current_(main_),
      lock_timeout_(conf.cache.lock_timeout.get()) {}

// ---- looking it up

Answer CacheUse::open() {
  info_.cacheable = true;
  if (cache_.bypass->any(r_)) {
    info_.status = CacheStatus::bypass;
    return Answer::ask;
  }
  info_.status = CacheStatus::miss;
  const Answer answer = look_up();
  if (answer == Answer::ask && range_is_too_far()) info_.cacheable = false;
  return answer;
}

Answer CacheUse::look_up() {
  using What = CacheZone::Look::What;
  for (;;) {
    const CacheZone::Look look = zone_.look(current_, cache_.min_uses, ticket_);
    ticket_ = look.ticket;
    switch (look.what) {
      case What::full:
        log::alert(r_.logger, "could not allocate node in cache keys zone \"{}\"", zone_.name());
        info_.cacheable = false;
        return Answer::ask;
      case What::error:
        error_ = look.error;
        info_.status = CacheStatus::hit;
        return Answer::error;
      case What::scarce:
        if (zone_.cold()) break;
        info_.cacheable = false;
        return Answer::ask;
      case What::fresh:
      case What::ready:
        break;
    }
    if (look.exists || zone_.cold()) {
      const auto found = file_.open(zone_.file_of(current_), key_, key_crc_, conf_.buffer_size);
      if (found == CachedFile::Found::unusable) {
        log::write(file_.bad() ? log::Level::crit : log::Level::info, r_.logger, "{}", file_.error());
      }
      if (found == CachedFile::Found::yes) {
        const CacheFileHeader& header = file_.header();
        if (header.vary_size == 0 ||
            variant_of(header.vary_text()) == CacheKey(std::to_array(header.variant))) {
          zone_.found_file(ticket_, header.body_start, file_.inode(), file_.blocks(zone_.block_size()));
          return judge_file();
        }
        const CacheKey variant = variant_of(header.vary_text());
        file_.close();
        if (!secondary_) {
          use_key(variant);
          secondary_ = true;
          continue;
        }
        log::crit(r_.logger, "cache file \"{}\" has incorrect vary hash", zone_.file_of(current_));
      }
    }
    if (look.what == What::scarce) {
      info_.cacheable = false;
      return Answer::ask;
    }
    std::int64_t wait = 0;
    if (!cache_.lock || claimed_) return Answer::ask;
    if (zone_.claim_lock(ticket_, cache_.lock_age, lock_until_, wait)) {
      claimed_ = true;
      return Answer::ask;
    }
    if (!wait_for_lock(wait)) {
      info_.cacheable = false;
      return Answer::ask;
    }
  }
}

// There is a file: is it fresh enough?
Answer CacheUse::judge_file() {
  const CacheFileHeader& header = file_.header();
  info_.last_modified = header.last_modified;
  info_.etag = header.etag_text();
  if (header.valid_until >= now()) {
    info_.status = CacheStatus::hit;
    return Answer::serve;
  }
  stale_updating_ = header.valid_until + header.stale_updating >= now();
  stale_error_ = header.valid_until + header.stale_error >= now();
  const bool serve_old = ((cache_.use_stale & kUpdating) != 0 || stale_updating_) && !info_.background;
  if (!zone_.claim_stale(ticket_, lock_until_)) {
    if (serve_old) {
      info_.status = CacheStatus::updating;
      return Answer::serve;
    }
  } else {
    claimed_ = true;
    if (serve_old && cache_.background_update) {
      background_ = true;
      info_.status = CacheStatus::stale;
      return Answer::serve;
    }
  }
  info_.status = CacheStatus::expired;
  info_.revalidate = cache_.revalidate;
  return Answer::ask;
}

// Until whoever fetches the response has it. False: this request has waited long enough, and asks by itself.
bool CacheUse::wait_for_lock(std::int64_t wait) {
  constexpr std::int64_t kStep = 100;
  const auto until = static_cast<std::int64_t>(fiber::now()) + lock_timeout_;
  do {
    const std::int64_t left = until - static_cast<std::int64_t>(fiber::now());
    if (left <= 0) {
      if (lock_timeout_ > 0) log::info(r_.logger, "cache lock timeout");
      lock_timeout_ = 0;
      return false;
    }
    fiber::sleep_for(static_cast<fiber::Msec>(std::min({wait, left, kStep})));
  } while (zone_.locked(ticket_, wait));
  lock_timeout_ = until - static_cast<std::int64_t>(fiber::now());
  return true;
}

// A range that begins far behind the start is cheaper to ask for alone.
bool CacheUse::range_is_too_far() const {
  const std::int64_t most = cache_.max_range_offset;
  const HeaderField* field = r_.in.find(HeaderId::range);
  if (field == nullptr || most == kAnyOffset) return false;
  if (most == 0) return true;
  std::string_view text = field->value;
  if (!starts_with_nocase(text, "bytes=")) return false;
  text = trim(text.substr(6));
  if (text.starts_with('-')) return true;
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  return parse_natural<std::int64_t>(text.substr(0, digits)).value_or(0) >= most;
}

CacheKey CacheUse::variant_of(std::string_view vary) const {
  std::string names(vary);
  std::transform(names.begin(), names.end(), names.begin(), [](char c) { return to_lower(c); });
  Md5 sum;
  sum.add({reinterpret_cast<const char*>(main_.data()), main_.size()});
  std::string_view rest = names;
  for (;;) {
    const std::size_t begin = rest.find_first_not_of(" ,");
    if (begin == std::string_view::npos) break;
    rest.remove_prefix(begin);
    const std::size_t end = std::min(rest.find_first_of(" ,"), rest.size());
    sum.add(rest.substr(0, end)).add(":");
    add_field(sum, r_.in, rest.substr(0, end));
    sum.add("\r\n");
    rest.remove_prefix(end);
  }
  const auto bytes = sum.finish();
  CacheKey out;
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

void CacheUse::use_key(const CacheKey& key) {
  leave();
  current_ = key;
}

// The stale-if-error of a response is for servers that did not answer, not for what they answer.
bool CacheUse::may_use_stale(std::uint32_t failure) const {
  constexpr std::uint32_t kAnswers =
      kHttp500 | kHttp502 | kHttp503 | kHttp504 | kHttp403 | kHttp404 | kHttp429;
  return info_.status == CacheStatus::expired && has_file() &&
         ((cache_.use_stale & failure) == failure || (stale_error_ && (failure & kAnswers) == 0));
}

void CacheUse::give_up_claim() {
  if (claimed_ && ticket_) zone_.unclaim(ticket_);
  claimed_ = false;
}

// ---- keeping a response

bool CacheUse::begin(const Reply& reply, std::string_view head) {
  keeping_ = info_.cacheable && decide(reply, head);
  info_.cacheable = keeping_;
  if (!keeping_) leave();
  return keeping_;
}

void CacheUse::let_go() {
  info_.cacheable = false;
  leave();
}

bool CacheUse::decide(const Reply& reply, std::string_view head) {
  fresh_ = judge_freshness(reply.fields, now(), conf_.ignore_headers);
  if (!fresh_.may_keep) return false;
  keepable_ = true;
  if (cache_.no_cache->any(r_)) return false;
  if (fresh_.valid_until == 0) {
    const std::int64_t seconds = cache_.valid_for(reply.status);
    if (seconds <= 0) return false;
    fresh_.valid_until = now() + seconds;
  }
  if (info_.status == CacheStatus::bypass && !ticket_) {
    ticket_ = zone_.look(current_, cache_.min_uses, {}).ticket;
  }
  return ticket_ && create_file(reply, head);
}

bool CacheUse::create_file(const Reply& reply, std::string_view head) {
  CacheFileHeader header;
  header.valid_until = fresh_.valid_until;
  header.stale_updating = fresh_.stale_updating;
  header.stale_error = fresh_.stale_error;
  header.date = now();
  header.key_crc = key_crc_;
  header.head_start = static_cast<std::uint16_t>(cache_head_start(key_));
  const std::size_t body_start = cache_head_start(key_) + head.size();
  if (body_start > 0xffff) return false;
  header.body_start = body_start_ = static_cast<std::uint16_t>(body_start);
  if (reply.status == 200 || reply.status == 206) {
    if (const HeaderField* field = reply.fields.find(HeaderId::last_modified)) {
      header.last_modified = parse_http_date(field->value).value_or(-1);
    }
    const std::string_view etag = reply.fields.value(HeaderId::etag);
    if (etag.size() <= kMostEtag)
      header.etag_size = static_cast<std::uint8_t>(etag.copy(header.etag, kMostEtag));
  }
  if (!fresh_.vary.empty()) {
    header.vary_size = static_cast<std::uint8_t>(fresh_.vary.copy(header.vary, kMostVary));
    const CacheKey variant = variant_of(fresh_.vary);
    std::copy(variant.begin(), variant.end(), header.variant);
  }
  const conf::LevelledPath beside{zone_.path().path, {0, 0, 0}};
  Status made = stored_.create(zone_.limits().use_temp_path ? conf_.temp_path.get() : beside);
  if (made) made = stored_.append(cache_file_front(header, key_));
  if (made) made = stored_.append(head);
  if (!made) {
    log::crit(r_.logger, "{}", made.error().text);
    discard();
    return false;
  }
  return true;
}

void CacheUse::write(std::string_view bytes) {
  if (!keeping_) return;
  if (const Status written = stored_.append(bytes); !written) {
    log::crit(r_.logger, "{}", written.error().text);
    discard();
  }
}

void CacheUse::discard() {
  keeping_ = false;
  stored_.close();
}

void CacheUse::finish(std::int64_t content_length) {
  if (!keeping_) return;
  keeping_ = false;
  if (content_length >= 0 && stored_.size() != body_start_ + static_cast<std::uint64_t>(content_length)) {
    return discard();
  }
  // A variant's place is no place for a response that does not vary so.
  if (secondary_ && (fresh_.vary.empty() || variant_of(fresh_.vary) != current_)) {
    use_key(main_);
    ticket_ = zone_.look(current_, 1, {}).ticket;
  }
  struct stat facts{};
  CacheZone::Outcome outcome;
  if (fstat(stored_.fd(), &facts) == 0) {
    outcome.inode = facts.st_ino;
    outcome.blocks =
        cache_blocks(stored_.size(), static_cast<std::uint64_t>(facts.st_blocks) * 512, zone_.block_size());
  }
  outcome.body_start = body_start_;
  if (const Status moved = move_file(stored_, zone_.file_of(current_), 0600, 0700); !moved) {
    log::crit(r_.logger, "{}", moved.error().text);
    return discard();
  }
  outcome.stored = true;
  leave(&outcome);
}

void CacheUse::remember(int status, const Reply* reply) {
  if (!info_.cacheable || !ticket_) return;
  std::int64_t until = 0;
  if (reply != nullptr) {
    const Freshness fresh = judge_freshness(reply->fields, now(), conf_.ignore_headers);
    if (!fresh.may_keep) return;
    until = fresh.valid_until;
  } else if (status != 502 && status != 504) {
    return;
  }
  if (until == 0) {
    const std::int64_t seconds = cache_.valid_for(status);
    if (seconds > 0) until = now() + seconds;
  }
  if (until == 0) return;
  remembered_ = status;
  remembered_until_ = until;
}

void CacheUse::revalidated(const http::Headers& answer, const Reply& old) {
  info_.status = CacheStatus::revalidated;
  Freshness fresh = judge_freshness(answer, now(), conf_.ignore_headers);
  if (fresh.valid_until == 0) fresh = judge_freshness(old.fields, now(), conf_.ignore_headers);
  if (fresh.valid_until == 0) {
    if (const std::int64_t seconds = cache_.valid_for(old.status); seconds > 0)
      fresh.valid_until = now() + seconds;
  }
  if (fresh.valid_until == 0) return;
  CacheFileHeader header = file_.header();
  header.valid_until = fresh.valid_until;
  header.stale_updating = fresh.stale_updating;
  header.stale_error = fresh.stale_error;
  header.date = now();
  const std::string path = zone_.file_of(current_);
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  struct stat facts{};
  // Another request may have put a newer one in its place.
  if (fstat(fd, &facts) == 0 && facts.st_ino == file_.inode()) (void)!pwrite(fd, &header, sizeof header, 0);
  ::close(fd);
}

void CacheUse::leave(const CacheZone::Outcome* stored) {
  if (!ticket_) return;
  CacheZone::Outcome outcome;
  if (stored != nullptr) outcome = *stored;
  outcome.updating = claimed_;
  outcome.lock_until = lock_until_;
  outcome.error = remembered_;
  outcome.error_until = remembered_until_;
  outcome.forget = cache_.min_uses == 1;
  zone_.leave(ticket_, outcome);
  ticket_ = {};
  claimed_ = false;
}

// ---- variables

namespace {

using http::Value;
using http::Variable;

Value cache_status(Request& r, const Variable&) {
  constexpr std::string_view kNames[] = {"",      "MISS",     "BYPASS",      "EXPIRED",
                                         "STALE", "UPDATING", "REVALIDATED", "HIT"};
  const CacheInfo* info = r.find_ctx<CacheInfo>();
  if (info == nullptr || info->status == CacheStatus::none) return Value::none();
  return Value::volatile_(kNames[static_cast<std::size_t>(info->status)]);
}

Value old_last_modified(Request& r, const Variable&) {
  const CacheInfo* info = r.find_ctx<CacheInfo>();
  const bool wanted = info != nullptr && info->revalidate && info->status == CacheStatus::expired;
  if (!wanted || info->last_modified < 0) return Value::none();
  char date[kHttpDateSize];
  write_http_date(date, info->last_modified);
  return Value::volatile_(r.arena.copy({date, kHttpDateSize}));
}

Value old_etag(Request& r, const Variable&) {
  const CacheInfo* info = r.find_ctx<CacheInfo>();
  const bool wanted = info != nullptr && info->revalidate && info->status == CacheStatus::expired;
  return wanted && !info->etag.empty() ? Value::volatile_(info->etag) : Value::none();
}

constexpr Variable kVariables[] = {
    {.name = "upstream_cache_status", .get = cache_status, .cacheable = false},
    {.name = "upstream_cache_last_modified", .get = old_last_modified, .cacheable = false},
    {.name = "upstream_cache_etag", .get = old_etag, .cacheable = false},
};

}  // namespace

void define_cache_variables(http::VariableTable& table) {
  table.define(kVariables);
}

}  // namespace mp::upstream
