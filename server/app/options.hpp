// The command line: what was asked for. Parsed once by main(); see cli.hpp.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace mp::app {

struct Options {
  bool help = false;
  bool version = false;
  bool build_details = false;  // -V
  bool test = false;           // -t, -T
  bool dump = false;           // -T
  bool quiet = false;
  std::string signal;                    // -s, empty when not given
  std::optional<std::string> prefix;     // -p
  std::optional<std::string> conf_file;  // -c
  std::optional<std::string> error_log;  // -e; "stderr" reads as the empty string
  std::string directives;                // -g

  // Derived: absolute, or relative to the working directory when -p is; prefix_path ends in '/'.
  std::string prefix_path;
  std::string conf_path;
  std::string error_log_path;  // empty: stderr
};

inline constexpr std::string_view kDefaultPrefix = "/usr/local/moonphase/";
inline constexpr std::string_view kDefaultConf = "conf/nginx.conf";
inline constexpr std::string_view kDefaultErrorLog = "logs/error.log";

// Without argv[0]. The error is the text that follows the program's name on stderr.
Result<Options> parse_options(std::span<const char* const> args);

// What -v, -V and -h write.
std::string version_text(const Options& options, const std::string& configure_arguments);

}  // namespace mp::app
