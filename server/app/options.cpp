#include "app/options.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/opensslv.h>

#include "app/signals.hpp"
#include "base/identity.hpp"

namespace mp::app {
namespace {

constexpr std::string_view kUsage =
    "Usage: {} [-?hvVtTq] [-s signal] [-p prefix]\n"
    "             [-e filename] [-c filename] [-g directives]\n"
    "\n"
    "Options:\n"
    "  -?,-h         : this help\n"
    "  -v            : show version and exit\n"
    "  -V            : show version and configure options then exit\n"
    "  -t            : test configuration and exit\n"
    "  -T            : test configuration, dump it and exit\n"
    "  -q            : suppress non-error messages during configuration testing\n"
    "  -s signal     : send signal to a master process: stop, quit, reopen, reload\n"
    "  -p prefix     : set prefix path (default: {})\n"
    "  -e filename   : set error log file (default: {})\n"
    "  -c filename   : set configuration file (default: {})\n"
    "  -g directives : set global directives out of configuration file\n"
    "\n";

// An option's own value: the rest of its word, or the next word.
class Values {
 public:
  explicit Values(std::span<const char* const> args) : args_(args) {}

  bool next_word() { return ++at_ < args_.size(); }
  std::string_view word() const { return args_[at_]; }
  std::optional<std::string> take(std::string_view rest) {
    if (!rest.empty()) return std::string(rest);
    if (!next_word()) return std::nullopt;
    return std::string(word());
  }

 private:
  std::span<const char* const> args_;
  std::size_t at_ = static_cast<std::size_t>(-1);
};

Status take_value(char letter, std::optional<std::string> value, Options& options) {
  static constexpr auto needs = [](char c) -> std::string_view {
    return c == 'p' ? "directory name" : c == 'c' || c == 'e' ? "file name" : "parameter";
  };
  if (!value) return fail(fmt::format("option \"-{}\" requires {}", letter, needs(letter)));
  switch (letter) {
    case 'p':
      options.prefix = std::move(value);
      return {};
    case 'c':
      options.conf_file = std::move(value);
      return {};
    case 'e':
      options.error_log = *value == "stderr" ? std::string() : *value;
      return {};
    case 'g':
      options.directives = *std::move(value);
      return {};
    default:
      if (signal_for_command(*value) == 0) return fail(fmt::format("invalid option: \"-s {}\"", *value));
      options.signal = *std::move(value);
      return {};
  }
}

bool take_flag(char letter, Options& options) {
  switch (letter) {
    case '?':
    case 'h':
      options.help = options.version = true;
      return true;
    case 'v':
      options.version = true;
      return true;
    case 'V':
      options.version = options.build_details = true;
      return true;
    case 't':
      options.test = true;
      return true;
    case 'T':
      options.test = options.dump = true;
      return true;
    case 'q':
      options.quiet = true;
      return true;
    default:
      return false;
  }
}

Status parse_word(std::string_view word, Values& values, Options& options) {
  if (!word.starts_with('-')) return fail(fmt::format("invalid option: \"{}\"", word));
  word.remove_prefix(1);
  while (!word.empty()) {
    const char letter = word.front();
    word.remove_prefix(1);
    if (std::string_view("pcegs").find(letter) != std::string_view::npos) {
      return take_value(letter, values.take(word), options);
    }
    if (!take_flag(letter, options)) return fail(fmt::format("invalid option: \"{}\"", letter));
  }
  return {};
}

std::string under(const std::string& prefix, std::string_view path) {
  return path.starts_with('/') ? std::string(path) : prefix + std::string(path);
}

void derive_paths(Options& options) {
  options.prefix_path = options.prefix.value_or(std::string(kDefaultPrefix));
  if (!options.prefix_path.empty() && options.prefix_path.back() != '/') options.prefix_path += '/';
  options.conf_path =
      under(options.prefix_path, options.conf_file ? *options.conf_file : std::string(kDefaultConf));
  const std::string log = options.error_log.value_or(std::string(kDefaultErrorLog));
  options.error_log_path = log.empty() ? log : under(options.prefix_path, log);
}

}  // namespace

Result<Options> parse_options(std::span<const char* const> args) {
  Options options;
  Values values(args);
  while (values.next_word()) TRY(parse_word(values.word(), values, options));
  derive_paths(options);
  return options;
}

std::string version_text(const Options& options, const std::string& configure_arguments) {
  // The compatible line comes first whoever we are: scripts and test suites look for it.
  std::string text = fmt::format("nginx version: nginx/{}\n", kCompatibleVersion);
  text += fmt::format("{} version: {}/{}\n", kProgramName, kProgramName, kProgramVersion);
  if (options.help) {
    text +=
        fmt::format(fmt::runtime(kUsage), identity().name, kDefaultPrefix, kDefaultErrorLog, kDefaultConf);
  }
  if (options.build_details) {
    text += fmt::format("built by gcc {}\n", __VERSION__);
    const std::string_view running = OpenSSL_version(OPENSSL_VERSION);
    text += fmt::format("built with {}", OPENSSL_VERSION_TEXT);
    if (running != OPENSSL_VERSION_TEXT) text += fmt::format(" (running with {})", running);
    const bool tls = configure_arguments.find(" --with-http_ssl_module") != std::string::npos;
    text += fmt::format("\n{}configure arguments:{}\n", tls ? "TLS SNI support enabled\n" : "",
                        configure_arguments);
  }
  return text;
}

}  // namespace mp::app
