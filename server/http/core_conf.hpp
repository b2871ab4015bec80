// The core module's configuration types: what every request needs to know of http {}, server {} and location
// {}.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/log.hpp"
#include "conf/context.hpp"
#include "conf/setting.hpp"
#include "conf/values.hpp"
#include "http/core_block.hpp"
#include "http/location.hpp"
#include "http/server_select.hpp"
#include "http/step.hpp"
#include "http/temp_file.hpp"
#include "http/template.hpp"
#include "http/variables.hpp"

namespace mp::http {

using conf::Level;
using conf::Setting;

class MimeTypes;
struct ListenAddresses;

struct CoreMain {
  static constexpr Level kLevel = Level::main;
  VariableTable variables;
  std::vector<Server*> servers;
  std::shared_ptr<ListenAddresses> addresses;  // made after the servers were read
  Setting<std::int64_t> server_names_hash_max_size;
  Setting<std::int64_t> server_names_hash_bucket_size;
  Setting<std::int64_t> variables_hash_max_size;
  Setting<std::int64_t> variables_hash_bucket_size;
  Setting<std::int64_t> types_hash_max_size;
  Setting<std::int64_t> types_hash_bucket_size;
};

struct ServerName {
  std::string_view text;  // lower case; a regex with its '~'
  bool regex = false;
  bool caseless = false;
};

struct CoreServer {
  static constexpr Level kLevel = Level::server;
  Server* server = nullptr;
  std::vector<ServerName> names;
  std::string_view first_name;  // $server_name
  bool listens = false;
  Setting<conf::Size> connection_pool_size;
  Setting<conf::Size> request_pool_size;
  Setting<conf::Size> client_header_buffer_size;    // 1k
  Setting<conf::Bufs> large_client_header_buffers;  // 4 8k
  Setting<conf::Msec> client_header_timeout;        // 60s
  Setting<std::int64_t> max_headers;                // 1000
  Setting<bool> ignore_invalid_headers;             // on
  Setting<bool> merge_slashes;                      // on
  Setting<bool> underscores_in_headers;             // off
  Status merge(conf::Context& ctx, const CoreServer& parent);
};

// One `error_page 404 500 =200 /x;` after splitting by status.
struct ErrorPage {
  int status;
  int overwrite;  // -1 keep the status, 0 take that of the page, else the new status
  Template uri;
  std::string_view args;
};

enum class Satisfy : std::uint8_t { all, any };
enum class IfModifiedSince : std::uint8_t { off, exact, before };
enum class LingeringClose : std::uint8_t { off, on, always };
enum class ServerTokens : std::uint8_t { on, off, build };
enum class KeepaliveDisable : std::uint8_t { none = 1, msie6 = 2, safari = 4 };
enum class BodyInFile : std::uint8_t { off, on, clean };

struct CoreLocation {
  static constexpr Level kLevel = Level::location;
  Setting<bool> internal;
  bool alias = false;      // root below came from `alias`
  Setting<Template> root;  // or alias
  std::shared_ptr<MimeTypes> types;
  Setting<std::string_view> default_type;       // text/plain
  Setting<conf::Offset> client_max_body_size;   // 1m
  Setting<conf::Size> client_body_buffer_size;  // 16k
  Setting<conf::Msec> client_body_timeout;      // 60s
  Setting<BodyInFile> client_body_in_file_only;
  Setting<bool> client_body_in_single_buffer;
  Setting<conf::LevelledPath> client_body_temp_path;
  Setting<Satisfy> satisfy;
  Setting<IfModifiedSince> if_modified_since;  // exact
  Setting<std::int64_t> max_ranges;            // -1: no limit
  Setting<bool> sendfile;
  Setting<bool> tcp_nopush;
  Setting<bool> tcp_nodelay;         // on
  Setting<conf::Msec> send_timeout;  // 60s
  Setting<conf::Size> send_lowat;
  Setting<conf::Size> postpone_output;  // 1460
  Setting<Template> limit_rate;
  Setting<Template> limit_rate_after;
  Setting<conf::Msec> keepalive_timeout;      // 75s
  Setting<conf::Sec> keepalive_header;        // Keep-Alive: timeout=N; 0: none
  Setting<conf::Msec> keepalive_time;         // 1h
  Setting<conf::Msec> keepalive_min_timeout;  // 0
  Setting<std::int64_t> keepalive_requests;   // 1000
  Setting<std::uint32_t> keepalive_disable;
  Setting<LingeringClose> lingering_close;  // on
  Setting<conf::Msec> lingering_time;       // 30s
  Setting<conf::Msec> lingering_timeout;    // 5s
  Setting<bool> reset_timedout_connection;
  Setting<bool> absolute_redirect;          // on
  Setting<bool> server_name_in_redirect;    // off
  Setting<bool> port_in_redirect;           // on
  Setting<bool> msie_padding;               // on
  Setting<bool> msie_refresh;               // off
  Setting<bool> log_not_found;              // on
  Setting<bool> log_subrequest;             // off
  Setting<bool> recursive_error_pages;      // off
  Setting<bool> chunked_transfer_encoding;  // on
  Setting<bool> etag;                       // on
  Setting<ServerTokens> server_tokens;
  Setting<conf::Msec> auth_delay;
  std::shared_ptr<log::ErrorLog> error_log;
  std::vector<ErrorPage> error_pages;  // inherited whole when this block has none
  bool error_pages_set = false;
  Status merge(conf::Context& ctx, const CoreLocation& parent);
};

}  // namespace mp::http
