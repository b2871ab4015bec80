// Listeners: the listening sockets of the master, which opens and keeps them. A TCP address has one socket
// with SO_REUSEPORT per worker, a Unix socket is shared. They outlive configurations and workers: a reload or
// a crash loses no queued connection. Passed on to a new binary by number.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.hpp"
#include "base/result.hpp"
#include "net/listen_spec.hpp"

namespace mp::app {

class Listeners {
 public:
  Listeners() = default;
  Listeners(const Listeners&) = delete;
  Listeners& operator=(const Listeners&) = delete;
  ~Listeners();

  // Takes over the sockets named in "6;7;8;": the form in which a running binary passes them.
  void inherit(std::string_view numbers, const log::Logger& logger);

  struct Plan {
    std::span<const net::ListenSpec> wanted;
    unsigned workers = 1;
    bool testing = false;  // -t: only whether binding is possible at all
  };
  // Opens what the plan needs and is not open. An address in use is tried five times, half a second apart.
  // When it fails, reasons are logged and nothing has changed. Otherwise commit() or rollback() follows.
  bool prepare(const Plan& plan, const log::Logger& logger);
  // Closes what the plan did not want, deletes its Unix sockets, and sets the options that may change.
  void commit(const Plan& plan, const log::Logger& logger);
  void rollback();

  // The sockets that worker `index` of `workers` polls. Every socket has a worker, whatever the numbers.
  std::vector<net::ListenSocket> for_worker(unsigned index, unsigned workers) const;

  // In a worker: closes all but these.
  void keep_only(std::span<const net::ListenSocket> mine);

  // Closes everything; deletes the Unix sockets if told to.
  void close_all(bool delete_unix_sockets, const log::Logger& logger);

  std::string numbers() const;    // for the new binary's environment
  void let_exec_inherit() const;  // clears close-on-exec; in the child that becomes the new binary
  bool empty() const { return sockets_.empty(); }

 private:
  struct Open {
    int fd;
    sockaddr_storage address;
    socklen_t length;
    std::string text;
    int protocol;
    int backlog;
    std::size_t spec;       // in the committed plan; kNone after inherit()
    std::size_t next_spec;  // in the plan being prepared
    bool fresh;             // opened by the plan being prepared
  };
  enum class Attempt : unsigned char { opened, in_use, failed };

  Attempt open_one(const net::ListenSpec& spec, std::size_t index, bool first, const Plan& plan,
                   const log::Logger& logger);
  bool bind_and_listen(int fd, const net::ListenSpec& spec, bool first, const Plan& plan,
                       const log::Logger& logger, Attempt& outcome);
  std::size_t claim(const net::ListenSpec& spec, std::size_t index, const Plan& plan,
                    const log::Logger& logger);

  std::vector<Open> sockets_;
};

}  // namespace mp::app
