// Identity: the names under which the server shows itself (Server header, error pages, -v and -V, messages on
// stderr, process titles). Chosen once, when the process starts.
#pragma once

#include <string_view>

namespace mp {

struct Identity {
  std::string_view name;  // "moonphase": Server header with server_tokens off, process title, stderr prefix
  std::string_view version;  // "0.1.0"
  std::string_view product;  // "moonphase/0.1.0": Server header with server_tokens on, error page footer
  bool compatible = false;   // the peer's identity is shown, for test suites and scripts that check it
};

// Our own name and version, whatever identity is shown.
inline constexpr std::string_view kProgramName = "moonphase";
inline constexpr std::string_view kProgramVersion = MP_VERSION;
// The interface level that configurations and scripts see: $nginx_version, ngx.config.nginx_version, -v.
inline constexpr std::string_view kCompatibleVersion = "1.31.5";
inline constexpr int kCompatibleVersionNumber = 1031005;

// Ours, or nginx/1.31.5 when the environment has MOONPHASE_IDENTITY=nginx.
const Identity& identity();

}  // namespace mp
