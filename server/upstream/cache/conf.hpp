// The settings of X_cache and its kin, for every module that passes requests on; and X_cache_path.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "conf/context.hpp"
#include "conf/setters.hpp"
#include "conf/setting.hpp"
#include "conf/values.hpp"
#include "http/method.hpp"
#include "http/predicates.hpp"
#include "http/template.hpp"
#include "upstream/cache/zone.hpp"

namespace mp {
class Zone;
}

namespace mp::upstream {

// `X_cache NAME`, a variable with the name, or off.
struct CacheChoice {
  Zone* zone = nullptr;
  http::Template name;  // with variables
  bool is_on() const { return zone != nullptr || !name.empty(); }
};

class CacheKeeper;

// All caches of a configuration, for names that are known at run time only.
struct CacheZones {
  static constexpr conf::Level kLevel = conf::Level::main;
  std::vector<Zone*> all;
  std::vector<std::shared_ptr<CacheKeeper>> keepers;  // in the worker that has them
};

// `X_cache_valid 200 302 10m`
struct CacheValid {
  int status = 0;  // 0: any
  std::int64_t seconds = 0;
};

struct CacheConf {
  conf::Setting<CacheChoice> choice;
  conf::Setting<http::Template> key;
  std::shared_ptr<std::vector<CacheValid>> valid;
  conf::Setting<http::Predicates> bypass;
  conf::Setting<http::Predicates> no_cache;
  conf::Setting<std::int64_t> min_uses;          // 1
  conf::Setting<conf::Offset> max_range_offset;  // unlimited
  conf::Setting<std::uint64_t> use_stale;        // Failure bits
  conf::Setting<std::uint64_t> methods;          // GET HEAD
  conf::Setting<bool> lock;
  conf::Setting<conf::Msec> lock_timeout;  // 5s
  conf::Setting<conf::Msec> lock_age;      // 5s
  conf::Setting<bool> revalidate;
  conf::Setting<bool> convert_head;  // on
  conf::Setting<bool> background_update;

  Status merge(conf::Context& ctx, const CacheConf& parent, std::string_view prefix);
  // How long a response with this status may be used when it does not say so itself; 0: not at all.
  std::int64_t valid_for(int status) const;
};

inline constexpr std::int64_t kAnyOffset = INT64_MAX;

Status parse_cache_path(conf::Context& ctx, const conf::Node& node);
Status parse_cache(conf::Context& ctx, const conf::Node& node, CacheConf& cache);
Status parse_cache_valid(conf::Context& ctx, const conf::Node& node, CacheConf& cache);
Status parse_cache_methods(conf::Context& ctx, const conf::Node& node, CacheConf& cache);
Status parse_cache_use_stale(conf::Context& ctx, const conf::Node& node, CacheConf& cache);

}  // namespace mp::upstream
