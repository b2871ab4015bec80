// TransferConf: the settings that every module which passes requests on has under its own prefix (proxy_,
// ...). A member of the module's own location type, so that each module has its own.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>

#include "conf/context.hpp"
#include "conf/setters.hpp"
#include "conf/setting.hpp"
#include "conf/values.hpp"
#include "http/template.hpp"
#include "upstream/cache/conf.hpp"
#include "upstream/name_set.hpp"

namespace mp::upstream {

using conf::Setting;

// Why a try was no success: the names of proxy_next_upstream, as bits.
enum Failure : std::uint32_t {
  kNoFailure = 0,
  kFailedError = 1u << 1,
  kFailedTimeout = 1u << 2,
  kInvalidHeader = 1u << 3,
  kHttp500 = 1u << 4,
  kHttp502 = 1u << 5,
  kHttp503 = 1u << 6,
  kHttp504 = 1u << 7,
  kHttp403 = 1u << 8,
  kHttp404 = 1u << 9,
  kHttp429 = 1u << 10,
  kUpdating = 1u << 11,
  kNonIdempotent = 1u << 14,
  kNoLive = 1u << 30,
  kNextOff = 1u << 31,
};

inline constexpr conf::Named<std::uint32_t> kNextUpstreamNames[] = {
    {"error", kFailedError},
    {"timeout", kFailedTimeout},
    {"invalid_header", kInvalidHeader},
    {"non_idempotent", kNonIdempotent},
    {"http_500", kHttp500},
    {"http_502", kHttp502},
    {"http_503", kHttp503},
    {"http_504", kHttp504},
    {"http_403", kHttp403},
    {"http_404", kHttp404},
    {"http_429", kHttp429},
    {"updating", kUpdating},
    {"off", kNextOff},
};

// The names of proxy_ignore_headers, as bits.
enum IgnoredHeader : std::uint32_t {
  kIgnoreAccelRedirect = 1u << 1,
  kIgnoreAccelExpires = 1u << 2,
  kIgnoreExpires = 1u << 3,
  kIgnoreCacheControl = 1u << 4,
  kIgnoreSetCookie = 1u << 5,
  kIgnoreAccelLimitRate = 1u << 6,
  kIgnoreAccelBuffering = 1u << 7,
  kIgnoreAccelCharset = 1u << 8,
  kIgnoreVary = 1u << 9,
};

inline constexpr conf::Named<std::uint32_t> kIgnoreHeaderNames[] = {
    {"X-Accel-Redirect", kIgnoreAccelRedirect},
    {"X-Accel-Expires", kIgnoreAccelExpires},
    {"X-Accel-Limit-Rate", kIgnoreAccelLimitRate},
    {"X-Accel-Buffering", kIgnoreAccelBuffering},
    {"X-Accel-Charset", kIgnoreAccelCharset},
    {"Expires", kIgnoreExpires},
    {"Cache-Control", kIgnoreCacheControl},
    {"Set-Cookie", kIgnoreSetCookie},
    {"Vary", kIgnoreVary},
};

struct BindTo {
  http::Template address;  // empty: off
  bool transparent = false;
};

struct Store {
  bool on = false;
  http::Template path;  // empty: the path the request maps to
};

struct TransferConf {
  Setting<bool> buffering;          // on
  Setting<bool> request_buffering;  // on
  Setting<bool> ignore_client_abort;
  Setting<bool> force_ranges;
  Setting<bool> intercept_errors;
  bool intercept_404 = false;          // by the protocol: what is not there is answered as a missing file is
  Setting<bool> pass_request_headers;  // on
  Setting<bool> pass_request_body;     // on
  Setting<bool> pass_trailers;
  Setting<BindTo> bind;
  Setting<bool> socket_keepalive;
  Setting<conf::Size> socket_rcvbuf;
  Setting<conf::Size> socket_sndbuf;
  Setting<conf::Size> send_lowat;
  Setting<conf::Msec> connect_timeout;   // 60s
  Setting<conf::Msec> send_timeout;      // 60s
  Setting<conf::Msec> read_timeout;      // 60s
  Setting<std::uint64_t> next_upstream;  // error timeout
  Setting<std::int64_t> next_upstream_tries;
  Setting<conf::Msec> next_upstream_timeout;
  Setting<conf::Size> buffer_size;  // a page
  Setting<conf::Bufs> buffers;      // 8 pages
  Setting<conf::Size> busy_buffers_size;
  Setting<conf::Size> max_temp_file_size;  // 1g
  Setting<conf::Size> temp_file_write_size;
  Setting<conf::LevelledPath> temp_path;
  Setting<http::Template> limit_rate;
  Setting<std::uint64_t> ignore_headers;
  Setting<Store> store;
  Setting<conf::Access> store_access;  // 0600
  CacheConf cache;
  conf::StringList pass_header_list, hide_header_list;
  bool pass_header_set = false, hide_header_set = false;
  Setting<std::int64_t> headers_hash_max_size;
  Setting<std::int64_t> headers_hash_bucket_size;

  std::shared_ptr<const NameSet> hidden;  // what does not go to the client

  // `prefix` is "proxy", `hidden_names` what this protocol hides by itself, `temp_folder` the default of
  // temp_path.
  Status merge(conf::Context& ctx, const TransferConf& parent, std::string_view prefix,
               std::span<const std::string_view> hidden_names, std::string_view temp_folder);

 private:
  Status check_sizes(conf::Context& ctx, const TransferConf& parent, std::string_view prefix);
  void merge_hidden(const TransferConf& parent, std::span<const std::string_view> hidden_names);
};

// The settings that a module has under its own prefix: its member, or a function that finds them.
template <auto Part>
auto& part_of(conf::Context& ctx) {
  if constexpr (std::is_member_object_pointer_v<decltype(Part)>) {
    return conf::detail::setting_of<Part>(ctx);
  } else {
    return Part(ctx);
  }
}

// Parse functions for rows: set_transfer<&ProxyConf::transfer, &TransferConf::buffering>.
template <auto Part, auto Member>
Status set_transfer(conf::Context& ctx, const conf::Node& node) {
  return conf::detail::set_value(ctx, node, part_of<Part>(ctx).*Member);
}

Status parse_bits(conf::Context& ctx, const conf::Node& node, Setting<std::uint64_t>& setting,
                  std::span<const conf::Named<std::uint32_t>> names);
Status parse_bind(conf::Context& ctx, const conf::Node& node, Setting<BindTo>& setting);
Status parse_store(conf::Context& ctx, const conf::Node& node, Setting<Store>& setting);
Status parse_temp_path(conf::Context& ctx, const conf::Node& node, Setting<conf::LevelledPath>& setting);
Status parse_limit_rate(conf::Context& ctx, const conf::Node& node, Setting<http::Template>& setting);

}  // namespace mp::upstream
