// The http2_ directives. The types belong to the configuration.
#pragma once

#include <cstddef>
#include <cstdint>

#include "conf/module.hpp"
#include "conf/setting.hpp"
#include "conf/values.hpp"

namespace mp::http {
struct AddressConf;
}

namespace mp::proto {

using conf::Setting;

struct H2Main {
  static constexpr conf::Level kLevel = conf::Level::main;
  Setting<conf::Size> recv_buffer_size = conf::Size(256 * 1024);
};

struct H2Server {
  static constexpr conf::Level kLevel = conf::Level::server;
  Setting<bool> enabled;
  Setting<conf::Size> pool_size;
  Setting<std::int64_t> max_concurrent_streams;  // 128
  Setting<conf::Size> body_preread_size;         // 64k: the window of a stream whose body nobody reads yet
  Setting<std::int64_t> streams_index_size;
  Status merge(conf::Context& ctx, const H2Server& parent);
};

struct H2Location {
  static constexpr conf::Level kLevel = conf::Level::location;
  Setting<conf::Size> chunk_size;  // 8k: the longest DATA frame
  Status merge(conf::Context& ctx, const H2Location& parent);
};

// Whether clients of this address may speak HTTP/2, as its default server says.
bool http2_enabled(const http::AddressConf& address);

extern const conf::Module kH2Module;

}  // namespace mp::proto
