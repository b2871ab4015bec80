// CacheUse: one request's dealings with a cache: looks its response up, says whether the one that an upstream
// server gives instead is to be kept, and keeps it. Lives on the stack of the request's fiber, inside of its
// Transfer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "http/request.hpp"
#include "http/temp_file.hpp"
#include "upstream/cache/conf.hpp"
#include "upstream/cache/file.hpp"
#include "upstream/cache/freshness.hpp"
#include "upstream/cache/zone.hpp"
#include "upstream/dialect.hpp"

namespace mp::upstream {

enum class CacheStatus : std::uint8_t { none, miss, bypass, expired, stale, updating, revalidated, hit };

// What variables and dialects want to know of it; in the request.
struct CacheInfo {
  // What it says of the last upstream is asked for behind internal redirects, too.
  static constexpr bool kKeepOnRedirect = true;
  CacheStatus status = CacheStatus::none;
  bool cacheable = false;   // the response is to be kept: the client's conditions and ranges do not go out
  bool revalidate = false;  // ask whether the old response still holds
  bool background = false;  // this is the subrequest that fetches a newer response
  std::int64_t last_modified = -1;  // of the old response
  std::string_view etag;
};

struct TransferConf;

class CacheUse {
 public:
  CacheUse(http::Request& request, const TransferConf& conf, CacheZone& zone, std::string_view key);
  CacheUse(const CacheUse&) = delete;
  CacheUse& operator=(const CacheUse&) = delete;
  ~CacheUse() { leave(); }

  enum class Answer : std::uint8_t {
    ask,    // an upstream server
    serve,  // the response in file()
    error,  // a failure is remembered: error()
  };
  // Parks while another request fetches the response, when `X_cache_lock` says so.
  Answer open();
  int error() const { return error_; }
  // Whether file() may be used though it is too old, now that a try failed so.
  bool may_use_stale(std::uint32_t failure) const;
  // file() was too old to be served, and is served all the same while another request updates it; that one is
  // for this request to start.
  bool wants_background_update() const { return background_; }
  void give_up_claim();  // so that the background request can have it
  const CachedFile& file() const { return file_; }
  bool has_file() const { return file_.fd() >= 0; }

  // The old response still holds, says this answer: notes for how long. `old`: the head in file().
  void revalidated(const http::Headers& answer, const Reply& old);

  // A response has come. True: it is going to be kept, write() and finish() follow.
  bool begin(const Reply& reply, std::string_view head);
  bool keeping() const { return keeping_; }
  // Its own head does not forbid to keep it: ranges and conditions are for this server to answer.
  bool keepable() const { return keepable_; }
  // It is not going to be kept, for a reason of the transfer's.
  void let_go();
  void write(std::string_view bytes);
  void finish(std::int64_t content_length);  // the body is complete
  // The response is an error that this server makes a page for: remembers it, when X_cache_valid says so.
  void remember(int status, const Reply* reply);

 private:
  Answer look_up();
  Answer judge_file();
  bool wait_for_lock(std::int64_t wait);
  CacheKey variant_of(std::string_view vary) const;
  void use_key(const CacheKey& key);
  void leave(const CacheZone::Outcome* stored = nullptr);
  bool range_is_too_far() const;
  bool decide(const Reply& reply, std::string_view head);
  bool create_file(const Reply& reply, std::string_view head);
  void discard();

  http::Request& r_;
  const TransferConf& conf_;
  const CacheConf& cache_;
  CacheZone& zone_;
  CacheInfo& info_;
  std::string_view key_;
  std::uint32_t key_crc_;
  CacheKey main_{}, current_{};
  bool secondary_ = false;  // current_ is that of a variant
  CacheZone::Ticket ticket_;
  CachedFile file_;
  int error_ = 0;
  bool claimed_ = false;  // other requests leave the update to this one
  std::int64_t lock_until_ = 0;
  std::int64_t lock_timeout_;
  bool background_ = false;
  bool stale_updating_ = false, stale_error_ = false;

  bool keepable_ = false;
  bool keeping_ = false;
  http::TempFile stored_;
  Freshness fresh_;
  std::uint16_t body_start_ = 0;
  int remembered_ = 0;
  std::int64_t remembered_until_ = 0;
};

// $upstream_cache_status and the like.
void define_cache_variables(http::VariableTable& table);

// MD5 sum and CRC of a cache key.
CacheKey cache_key_of(std::string_view key);

}  // namespace mp::upstream
