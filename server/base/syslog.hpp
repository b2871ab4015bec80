// Syslog: a sender of RFC 3164 messages to a syslog server over UDP or a Unix datagram socket, used by
// error_log and access_log. Never blocks: a message that the socket does not take at once is lost. Owned by
// the configuration; the socket is opened at first use, in the process that logs.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <sys/socket.h>

#include "base/result.hpp"

namespace mp {

struct SyslogOptions {
  sockaddr_storage address{};
  socklen_t address_length = 0;
  std::string server;  // as written
  int facility = 23;   // local7
  int severity = 6;    // info; error_log uses each line's own
  std::string tag;
  bool hostname = true;
};

// Reads "server=ADDR[,facility=F][,severity=S][,tag=T][,nohostname]", the text after "syslog:".
Result<SyslogOptions> parse_syslog(std::string_view text);

class Syslog {
 public:
  explicit Syslog(SyslogOptions options);
  Syslog(const Syslog&) = delete;
  Syslog& operator=(const Syslog&) = delete;
  ~Syslog();

  const SyslogOptions& options() const { return options_; }

  // Sends one message (no newline). A failure closes the socket, so that the next message tries anew.
  Status send(int severity, std::string_view text);
  Status send(std::string_view text) { return send(options_.severity, text); }

 private:
  Status connect();

  SyslogOptions options_;
  std::string hostname_;
  std::string message_;
  int fd_ = -1;
};

}  // namespace mp
