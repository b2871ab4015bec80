#include <cstdlib>
#include <fstream>
#include <string>

#include <arpa/inet.h>
#include <catch2/catch.hpp>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app/environment.hpp"
#include "app/modules.hpp"
#include "app/pid_file.hpp"
#include "app/privileges.hpp"
#include "conf/configuration.hpp"
#include "conf/process_conf.hpp"

namespace mp::app {
namespace {

const conf::Registry& registry() {
  static const conf::Module* const list[] = {&kProcessModule};
  static const conf::Registry instance(list);
  return instance;
}

struct Loaded {
  conf::Configuration configuration{registry(), {"/p/", "/p/nginx.conf", ""}};
  Status status;
  explicit Loaded(const std::string& text) { status = configuration.load_text(text); }
  std::string error() const { return status ? std::string() : status.error().text; }
  const conf::ProcessConf& process() { return configuration.root().get<conf::ProcessConf>(); }
  const conf::EventsConf& events() { return configuration.root().get<conf::EventsConf>(); }
};

sockaddr_in peer(const char* address) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  inet_pton(AF_INET, address, &in.sin_addr);
  return in;
}

TEST_CASE("process directives are read", "[process]") {
  Loaded l(
      "worker_processes 3; daemon off; master_process on; pid run/x.pid; worker_rlimit_nofile 4096;"
      "worker_rlimit_core 500m; worker_priority -5; worker_shutdown_timeout 3s; env A; env B=c=d; pcre_jit "
      "on;"
      "working_directory /tmp; timer_resolution 100ms; lock_file x.lock; debug_points stop;"
      "thread_pool default threads=4 max_queue=100; load_module modules/ngx_http_echo_module.so;"
      "events { worker_connections 77; use epoll; multi_accept on; accept_mutex off; accept_mutex_delay 1s; "
      "}");
  REQUIRE(l.error().empty());
  CHECK(l.process().worker_processes == 3);
  CHECK_FALSE(l.process().daemon);
  CHECK(l.process().pid_path == "/p/run/x.pid");
  CHECK(l.process().old_pid_path == "/p/run/x.pid.oldbin");
  CHECK(l.process().rlimit_nofile == 4096);
  CHECK(l.process().rlimit_core == 500 * 1024 * 1024);
  CHECK(l.process().priority == -5);
  CHECK(l.process().shutdown_timeout == 3000);
  CHECK(l.process().env.size() == 2);
  CHECK(l.events().worker_connections == 77);
  CHECK(Loaded("events {}").process().pid_path == "/p/logs/nginx.pid");
}

TEST_CASE("mistakes in process directives are named", "[process]") {
  const auto has = [](const std::string& text, const std::string& what) {
    const Loaded l(text);
    INFO(l.error());
    CHECK(l.error().find(what) != std::string::npos);
  };
  has("", "no \"events\" section in configuration");
  has("events {} events {}", "\"events\" directive is duplicate in /p/nginx.conf:1");
  has("worker_processes many;", "\"worker_processes\" directive invalid value");
  has("worker_priority x;", "\"worker_priority\" directive invalid number");
  has("worker_cpu_affinity 012;", "invalid character \"2\" in \"worker_cpu_affinity\"");
  has("worker_cpu_affinity auto 01 10;", "invalid number of arguments in \"worker_cpu_affinity\" directive");
  has("events { use kqueue; }", "invalid event type \"kqueue\"");
  has("events { debug_connection 1.2.3.4/33; }", "host not found in debug_connection \"1.2.3.4/33\"");
  has("load_module x/other.so;", "module \"x/other.so\" is not built in");
  has("thread_pool a max_queue=5;", "\"thread_pool\" must have \"threads\" parameter");
  has("error_log e.log loud;", "invalid log level \"loud\"");
}

TEST_CASE("debug_connection matches networks", "[process]") {
  Loaded l("events { debug_connection 10.0.0.0/8; debug_connection 127.0.0.1; debug_connection unix:; }");
  REQUIRE(l.error().empty());
  const auto debugs = [&](const char* address) {
    const sockaddr_in in = peer(address);
    return l.events().debugs(reinterpret_cast<const sockaddr*>(&in));
  };
  CHECK(debugs("10.9.8.7"));
  CHECK(debugs("127.0.0.1"));
  CHECK_FALSE(debugs("127.0.0.2"));
  sockaddr local{};
  local.sa_family = AF_UNIX;
  CHECK(l.events().debugs(&local));
  sockaddr_in6 mapped{};
  mapped.sin6_family = AF_INET6;
  inet_pton(AF_INET6, "::ffff:10.1.1.1", &mapped.sin6_addr);
  CHECK(l.events().debugs(reinterpret_cast<const sockaddr*>(&mapped)));
  inet_pton(AF_INET6, "fe80::1", &mapped.sin6_addr);
  CHECK_FALSE(l.events().debugs(reinterpret_cast<const sockaddr*>(&mapped)));
}

TEST_CASE("workers get their CPUs in turn", "[process]") {
  cpu_set_t cpus;
  Loaded masks("worker_processes 2; worker_cpu_affinity 01 10; events {}");
  REQUIRE(cpus_for(masks.process(), 1, cpus));
  CHECK(CPU_COUNT(&cpus) == 1);
  CHECK(CPU_ISSET(1, &cpus));
  REQUIRE(cpus_for(masks.process(), 5, cpus));  // the last mask serves the rest
  CHECK(CPU_ISSET(1, &cpus));

  Loaded automatic("worker_cpu_affinity auto 1010; events {}");
  REQUIRE(cpus_for(automatic.process(), 0, cpus));
  CHECK(CPU_ISSET(1, &cpus));
  REQUIRE(cpus_for(automatic.process(), 3, cpus));
  CHECK(CPU_ISSET(3, &cpus));
  CHECK_FALSE(cpus_for(Loaded("events {}").process(), 0, cpus));
}

TEST_CASE("the environment has what env names, and TZ", "[process]") {
  Loaded l("env KEPT; env SET=1=2; env MISSING; events {}");
  std::string kept = "KEPT=x";
  std::string longer = "KEPTLONGER=y";
  std::string zone = "TZ=UTC";
  std::string other = "OTHER=z";
  char* original[] = {longer.data(), other.data(), kept.data(), zone.data(), nullptr};
  CHECK(select_environment(l.process().env, original) ==
        std::vector<std::string>{"KEPT=x", "SET=1=2", "TZ=UTC"});
}

TEST_CASE("the pid file is written and read", "[process]") {
  char name[] = "/tmp/mp-pid-XXXXXX";
  ::close(mkstemp(name));
  const std::string path = name;
  REQUIRE(write_pid_file(path, 4711, false));
  CHECK(read_pid_file(path).value() == 4711);
  REQUIRE(write_pid_file(path, 1, true));  // a test leaves it alone
  CHECK(read_pid_file(path).value() == 4711);
  std::ofstream(path) << "12x\n";
  CHECK(read_pid_file(path).error().text == "invalid PID number \"12x\" in \"" + path + "\"");
  ::unlink(name);
  CHECK(read_pid_file(path).error().text == "open() \"" + path + "\" failed (2: No such file or directory)");
}

}  // namespace
}  // namespace mp::app
