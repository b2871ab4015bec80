// srcache: caches whole responses behind two subrequests of the configuration, one that fetches them and one
// that stores them (in memcached, Redis, a file, ...). This is the storing side and what both sides share;
// the fetching side is in phases/09_precontent.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "conf/module.hpp"
#include "conf/setting.hpp"
#include "conf/values.hpp"
#include "http/method.hpp"
#include "http/template.hpp"
#include "upstream/name_set.hpp"

namespace mp::http {
class Request;
}

namespace mp::filters {

// The subrequest that fetches or stores.
struct SrcacheRequest {
  http::Method method = http::Method::get;
  http::Template uri;
  http::Template args;
};

struct SrcacheConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  std::shared_ptr<const SrcacheRequest> fetch;
  std::shared_ptr<const SrcacheRequest> store;
  conf::Setting<http::Template> fetch_skip;
  conf::Setting<http::Template> store_skip;
  conf::Setting<conf::Size> store_max_size;  // 0: no limit
  std::vector<int> store_statuses;           // empty: 200, 301, 302, 307, 308
  conf::Setting<bool> store_ranges;
  conf::Setting<bool> store_private;
  conf::Setting<bool> store_no_store;
  conf::Setting<bool> store_no_cache;
  conf::Setting<bool> ignore_content_encoding;
  conf::Setting<bool> request_cache_control;
  conf::Setting<bool> response_cache_control;    // on
  conf::Setting<conf::Sec> default_expire;       // 60
  conf::Setting<conf::Sec> max_expire;           // 0: none
  conf::Setting<conf::Size> header_buffer_size;  // the longest line of a head that is taken; a page
  http::MethodSet methods = 0;                   // GET and HEAD when nothing was said
  conf::StringList hide_header_list, pass_header_list;
  std::shared_ptr<const upstream::NameSet> hidden;  // not stored

  Status merge(conf::Context& ctx, const SrcacheConf& parent);
};

// What became of the cache in one request.
struct SrcacheState {
  bool fetched = false;                // the response comes out of the cache
  bool missed = false;                 // it was asked, and had nothing
  bool stored = false;                 // it goes there, as far as one can tell
  std::optional<std::int64_t> expire;  // seconds
};

// Whether a request may be answered from the cache or go into it at all.
bool srcache_wants_method(const http::Request& request, const SrcacheConf& conf);
// Whether the field Cache-Control or Pragma of the request has `member`.
bool request_cache_control_has(const http::Request& request, std::string_view member);

// Whether a skip condition holds: neither empty nor "0".
bool srcache_skips(http::Request& request, const http::Template& condition);

extern const conf::Module kSrcacheModule;

// The header filter.
void srcache_store(http::Request& request);

}  // namespace mp::filters
