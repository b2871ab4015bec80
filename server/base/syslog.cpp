#include "base/syslog.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include <fmt/format.h>
#include <netdb.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.hpp"
#include "base/identity.hpp"

namespace mp {
namespace {

constexpr std::string_view kFacilities[] = {"kern",   "user",   "mail",   "daemon", "auth",     "intern",
                                            "lpr",    "news",   "uucp",   "clock",  "authpriv", "ftp",
                                            "ntp",    "audit",  "alert",  "cron",   "local0",   "local1",
                                            "local2", "local3", "local4", "local5", "local6",   "local7"};
constexpr std::string_view kSeverities[] = {"emerg", "alert",  "crit", "error",
                                            "warn",  "notice", "info", "debug"};
constexpr std::size_t kMaxTag = 32;
constexpr std::size_t kMaxMessage = 4096 + 512;

template <std::size_t N>
int index_of(const std::string_view (&names)[N], std::string_view name) {
  const auto* found = std::find(std::begin(names), std::end(names), name);
  return found == std::end(names) ? -1 : static_cast<int>(found - std::begin(names));
}

Status parse_unix(std::string_view path, SyslogOptions& options) {
  auto* address = reinterpret_cast<sockaddr_un*>(&options.address);
  if (path.empty())
    return fail(fmt::format("no path in the unix domain socket in syslog server \"unix:{}\"", path));
  if (path.size() >= sizeof address->sun_path) {
    return fail(fmt::format("too long path in the unix domain socket in syslog server \"unix:{}\"", path));
  }
  address->sun_family = AF_UNIX;
  std::memcpy(address->sun_path, path.data(), path.size());
  options.address_length = sizeof(sockaddr_un);
  return {};
}

Status parse_server(std::string_view server, SyslogOptions& options) {
  options.server = server;
  if (server.starts_with("unix:")) return parse_unix(server.substr(5), options);
  std::string host(server);
  std::string port = "514";
  const bool bracket = host.starts_with("[");
  const std::size_t close = bracket ? host.find(']') : 0;
  if (close == std::string::npos) return fail(fmt::format("invalid host in syslog server \"{}\"", server));
  const std::size_t colon = host.find(':', close);
  if (colon != std::string::npos) {
    port = host.substr(colon + 1);
    host.resize(colon);
    const bool digits =
        !port.empty() && std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!digits || port.size() > 5 || std::stoi(port) < 1 || std::stoi(port) > 65535) {
      return fail(fmt::format("invalid port in syslog server \"{}\"", server));
    }
  }
  if (bracket) host = host.substr(1, close - 1);
  if (host.empty()) return fail(fmt::format("no host in syslog server \"{}\"", server));
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0 || found == nullptr) {
    return fail(fmt::format("host not found in syslog server \"{}\"", server));
  }
  std::memcpy(&options.address, found->ai_addr, found->ai_addrlen);
  options.address_length = found->ai_addrlen;
  freeaddrinfo(found);
  return {};
}

Status check_tag(std::string_view tag) {
  if (tag.size() > kMaxTag) return fail("syslog tag length exceeds 32");
  const bool plain = std::all_of(tag.begin(), tag.end(), [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  });
  if (!plain) return fail("syslog \"tag\" only allows alphanumeric characters and underscore");
  return {};
}

// Which parameters were given, since each may be given once.
struct Seen {
  bool server = false;
  bool facility = false;
  bool severity = false;
  bool tag = false;
};

Status parse_parameter(std::string_view p, SyslogOptions& options, Seen& seen) {
  if (p.starts_with("server=")) {
    if (std::exchange(seen.server, true)) return fail("duplicate syslog \"server\"");
    return parse_server(p.substr(7), options);
  }
  if (p.starts_with("facility=")) {
    if (std::exchange(seen.facility, true)) return fail("duplicate syslog \"facility\"");
    options.facility = index_of(kFacilities, p.substr(9));
    if (options.facility < 0) return fail(fmt::format("unknown syslog facility \"{}\"", p.substr(9)));
    return {};
  }
  if (p.starts_with("severity=")) {
    if (std::exchange(seen.severity, true)) return fail("duplicate syslog \"severity\"");
    options.severity = index_of(kSeverities, p.substr(9));
    if (options.severity < 0) return fail(fmt::format("unknown syslog severity \"{}\"", p.substr(9)));
    return {};
  }
  if (p.starts_with("tag=")) {
    if (std::exchange(seen.tag, true)) return fail("duplicate syslog \"tag\"");
    options.tag = p.substr(4);
    return check_tag(options.tag);
  }
  if (p == "nohostname") {
    options.hostname = false;
    return {};
  }
  return fail(fmt::format("unknown syslog parameter \"{}\"", p));
}

}  // namespace

Result<SyslogOptions> parse_syslog(std::string_view text) {
  SyslogOptions options;
  Seen seen;
  for (;;) {
    const std::size_t comma = text.find(',');
    TRY(parse_parameter(text.substr(0, comma), options, seen));
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  if (!seen.server) return fail("no syslog server specified");
  if (options.tag.empty()) options.tag = identity().name;
  return options;
}

Syslog::Syslog(SyslogOptions options) : options_(std::move(options)) {
  char name[256] = {};
  if (gethostname(name, sizeof name - 1) == 0) hostname_ = name;
}

Syslog::~Syslog() {
  if (fd_ != -1) ::close(fd_);
}

Status Syslog::connect() {
  const int fd = ::socket(options_.address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd == -1) return fail(system_error(errno, "socket() failed"));
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&options_.address), options_.address_length) == -1) {
    const int errnum = errno;
    ::close(fd);
    return fail(system_error(errnum, "connect() failed"));
  }
  fd_ = fd;
  return {};
}

Status Syslog::send(int severity, std::string_view text) {
  if (fd_ == -1) TRY(connect());
  message_.clear();
  fmt::format_to(std::back_inserter(message_), "<{}>{} ", options_.facility * 8 + severity,
                 clock().syslog_time());
  if (options_.hostname) message_.append(hostname_).append(" ");
  message_.append(options_.tag).append(": ");
  message_.append(text.substr(0, kMaxMessage - std::min(kMaxMessage, message_.size())));
  if (::send(fd_, message_.data(), message_.size(), MSG_NOSIGNAL) >= 0) return {};
  const int errnum = errno;
  if (errnum == EAGAIN || errnum == EINTR) return {};
  ::close(std::exchange(fd_, -1));
  return fail(system_error(errnum, "send() failed"));
}

}  // namespace mp
