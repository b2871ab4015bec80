// Whether a client takes gzip, and whether the configuration lets it have it: gzip_http_version,
// gzip_proxied, gzip_disable, gzip_vary. Shared by gzip, gzip_static and gunzip.
#pragma once

#include <cstdint>
#include <vector>

#include "base/regex.hpp"
#include "conf/context.hpp"
#include "conf/setting.hpp"

namespace mp::http {
class Request;
}

namespace mp::filters {

enum class Proxied : std::uint32_t {
  off = 0x02,
  expired = 0x04,
  no_cache = 0x08,
  no_store = 0x10,
  private_ = 0x20,
  no_last_modified = 0x40,
  no_etag = 0x80,
  auth = 0x100,
  any = 0x200,
};

struct GzipAcceptConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  conf::Setting<bool> vary;
  conf::Setting<int> http_version;  // 1000 or 1001
  conf::Setting<std::uint32_t> proxied;
  bool disable_set = false;
  bool disable_msie6 = false;
  std::vector<std::shared_ptr<Regex>> disable;
  Status merge(conf::Context& ctx, const GzipAcceptConf& parent);
};

// RFC 9110 12.5.3 for "gzip", as nginx reads it: named with a weight above 0, or "*".
bool accepts_gzip(std::string_view accept_encoding);

// All rules together, for this request and its response head.
bool may_gzip(http::Request& request);

// "Vary: Accept-Encoding" when gzip_vary wants it.
void add_vary(http::Request& request);

Status parse_gzip_disable(conf::Context& ctx, const conf::Node& node);
Status parse_gzip_http_version(conf::Context& ctx, const conf::Node& node);

}  // namespace mp::filters
