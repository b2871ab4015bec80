// Bytes behind the preface of an HTTP/2 connection, against the real thing: sessions, streams and requests on
// a socket pair. Whatever comes, the connection ends once the client has closed, and gives everything back.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

#include <sys/socket.h>
#include <unistd.h>

#include "app/modules.hpp"
#include "conf/configuration.hpp"
#include "fiber/scheduler.hpp"
#include "http/core_conf.hpp"
#include "http/engine.hpp"
#include "phases/phases.hpp"
#include "proto/h1/connection.hpp"
#include "proto/h2/session.hpp"

using namespace mp;

namespace {

constexpr std::string_view kConfiguration = R"(
error_log /dev/null;
events {}
http {
  access_log off;
  http2 on;
  lingering_close off;
  server {
    listen 127.0.0.1:1;
    large_client_header_buffers 4 1k;
    location / { return 200 "some text"; }
    location /rate { limit_rate 1; return 200 "slow"; }
    location /error { error_page 404 /; return 404; }
  }
}
)";

struct Server {
  fiber::Scheduler scheduler;
  conf::Registry registry{app::modules()};
  conf::Configuration configuration{registry, {"/tmp/", "/tmp/fuzz.conf", ""}};
  SharedCounters counters = *SharedCounters::make();
  std::unique_ptr<proto::Worker> worker;

  Server() {
    if (!configuration.load_text(std::string(kConfiguration))) std::abort();
    http::set_phases(phases::table());
    worker = std::make_unique<proto::Worker>(configuration, std::span<const net::ListenSocket>(),
                                             counters.slot(0));
  }
  const http::AddressConf& address() {
    return *configuration.root().get<http::CoreMain>().addresses->all.front();
  }
};

Server& server() {
  static auto* const made = new Server;
  return *made;
}

void send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 16384) return 0;
  Server& s = server();
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
  proto::H1Connection::start(*s.worker, ends[0], net::Address::v4(0x7f000001, 1), s.address());
  // The first byte says where the rest is cut in two.
  std::string_view rest{reinterpret_cast<const char*>(data) + 1, size - 1};
  send_all(ends[1], proto::kH2Preface);
  const std::size_t cut = rest.size() * data[0] / 256;
  send_all(ends[1], rest.substr(0, cut));
  for (int i = 0; i < 3; ++i) s.scheduler.turn(0);
  send_all(ends[1], rest.substr(cut));
  for (int i = 0; i < 3; ++i) s.scheduler.turn(0);
  ::close(ends[1]);
  for (int i = 0; i < 1000 && s.worker->connections() > 0; ++i) s.scheduler.turn(i < 100 ? 0 : 10);
  if (s.worker->connections() > 0) std::abort();
  return 0;
}
