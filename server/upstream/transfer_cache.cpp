// A Transfer and the cache: responses that need no server, and those that are used although it failed.
#include <algorithm>

#include "base/clock.hpp"
#include "fiber/fiber.hpp"
#include "http/core_conf.hpp"
#include "http/subrequest.hpp"
#include "upstream/transfer.hpp"
#include "upstream/upstream.hpp"

namespace mp::upstream {

using http::Output;
using http::Piece;
using http::Step;

namespace {

class DropSink final : public http::Sink {
 public:
  bool send_head(http::Request&, bool) override { return true; }
  bool send_body(http::Request&, const Output&) override { return true; }
};

// The cache that X_cache names, which may depend on the request; null: none. False: there is none of that
// name.
bool find_zone(http::Request& r, const CacheChoice& choice, CacheZone*& zone) {
  if (choice.zone != nullptr) {
    zone = choice.zone->owner<CacheZone>();
    return true;
  }
  const std::string_view name = choice.name.evaluate(r);
  if (name.empty() || name == "off") return true;
  for (const auto& known : r.conf<CacheZones>().all) {
    if (known->name() != name) continue;
    zone = known->owner<CacheZone>();
    return true;
  }
  log::error(r.logger, "cache \"{}\" not found", name);
  return false;
}

}  // namespace

// A response out of the cache, or nothing: a server is to be asked.
std::optional<Step> Transfer::open_cache() {
  const CacheConf& conf = conf_.cache;
  if ((conf.methods & static_cast<std::uint64_t>(r_.method)) == 0) return std::nullopt;
  CacheZone* zone = nullptr;
  if (!find_zone(r_, conf.choice, zone)) return Step::finish(500);
  if (zone == nullptr) return std::nullopt;
  const std::string_view key = conf.key->empty() ? dialect_.default_cache_key(r_) : conf.key->evaluate(r_);
  constexpr std::size_t kLeastHead = 256;
  if (cache_head_start(key) + kLeastHead > conf_.buffer_size) {
    log::error(r_.logger, "buffer_size {} is not enough for cache key, it should be increased to at least {}",
               conf_.buffer_size.get().value, (cache_head_start(key) + kLeastHead + 1023) / 1024 * 1024);
    return std::nullopt;
  }
  void* const place = r_.arena.allocate(sizeof(CacheUse), alignof(CacheUse));
  cache_.reset(new (place) CacheUse(r_, conf_, *zone, key));
  switch (cache_->open()) {
    case CacheUse::Answer::ask:
      return std::nullopt;
    case CacheUse::Answer::error:
      return Step::finish(cache_->error());
    case CacheUse::Answer::serve:
      break;
  }
  if (!cache_->wants_background_update()) return serve_kept();
  // The update goes on while this client gets the old response, and is not its to end.
  cache_->give_up_claim();
  fiber::Group update;
  update.spawn([this] {
    const fiber::CancelShield shield;
    DropSink sink;
    http::SubrequestOptions options;
    options.clone = true;
    options.prepare = [](http::Request& sub) {
      sub.ctx<CacheInfo>().background = true;
      sub.header_only = true;
    };
    http::run_subrequest(r_, r_.uri, options, sink);
  });
  const Step step = serve_kept();
  if (r_.exchange != nullptr && !r_.is_sub() && r_.finished) r_.exchange->flush(r_);
  update.wait();
  return step;
}

// The head in the cache's file becomes this request's answer. False: it cannot be read.
bool Transfer::take_kept_head() {
  reply_ = r_.arena.make<Reply>(r_.arena);
  kept_ = true;
  if (!dialect_.read_kept_head(r_, r_.arena.copy(cache_->file().head()), *reply_)) return false;
  const std::uint64_t size = cache_->file().body_size();
  const bool unknown = reply_->content_length < 0;
  if (unknown && (size > 0 || !reply_->no_body)) reply_->content_length = static_cast<std::int64_t>(size);
  reply_->upgrade = false;
  history_.headers = &reply_->fields;
  history_.trailers = nullptr;
  return true;
}

Step Transfer::serve_kept() {
  if (!take_kept_head()) return Step::finish(500);
  return send_kept();
}

Step Transfer::send_kept() {
  note_fields();
  if (wants_redirect()) {
    if (const auto end = accel_redirect()) return *end;
  }
  copy_head();
  if (!r_.send_head()) return Step::done();
  const CachedFile& file = cache_->file();
  const auto wanted = static_cast<std::uint64_t>(std::max<std::int64_t>(reply_->content_length, 0));
  if (r_.header_only || reply_->no_body || wanted == 0) {
    r_.finish_body();
    return Step::done();
  }
  const std::uint64_t size = std::min(wanted, file.body_size());
  const Piece piece = Piece::file(file.fd(), file.header().body_start, size);
  const bool cut = size < wanted;
  r_.write(Output{{&piece, 1}, !cut, cut});
  if (cut) {
    log::crit(r_.logger, "cache file has {} bytes of a body of {}", size, wanted);
    r_.aborted = true;
  }
  return Step::done();
}

// After a failure, or an answer that is one.
std::optional<Step> Transfer::serve_stale(std::uint32_t failure) {
  if (!cache_ || !cache_->may_use_stale(failure)) return std::nullopt;
  r_.ctx<CacheInfo>().status = CacheStatus::stale;
  r_.connection.doing = " while sending to client";
  return serve_kept();
}

// 304: the response in the cache is still good.
std::optional<Step> Transfer::serve_revalidated() {
  const CacheInfo* info = r_.find_ctx<CacheInfo>();
  if (!cache_ || reply_->status != 304 || !info->revalidate || info->status != CacheStatus::expired) {
    return std::nullopt;
  }
  const Reply& answer = *reply_;
  keep_or_close(true);
  if (!take_kept_head()) return Step::finish(500);
  cache_->revalidated(answer.fields, *reply_);
  return send_kept();
}

}  // namespace mp::upstream
