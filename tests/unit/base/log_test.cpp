#include "base/log.hpp"

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.hpp"
#include "base/open_files.hpp"

namespace mp::log {
namespace {

struct Client final : Subject {
  void describe(std::string& out) const override { out += ", client: 1.2.3.4, server: a"; }
  std::uint64_t connection_id() const override { return 7; }
};

struct TempDir {
  std::string path;
  TempDir() {
    char name[] = "/tmp/mp-log-XXXXXX";
    path = mkdtemp(name);
  }
  ~TempDir() { std::filesystem::remove_all(path); }
  std::string read(const std::string& name) const {
    std::ifstream in(path + "/" + name);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }
};

Clock fake_clock() {
  setenv("TZ", "UTC", 1);
  tzset();
  Clock c;
  c.set(1706692087, 123, 5000);
  return c;
}

// The part of a line behind "pid#tid: ".
std::string after_ids(const std::string& line) {
  const auto hash = line.find('#');
  const auto at = line.find(": ", hash);
  return line.substr(at + 2);
}

TEST_CASE("a line has time, level, ids, connection, message and context", "[log]") {
  const Clock c = fake_clock();
  const Client client;
  std::string out;
  const auto at = build_line(out, c, {Level::error, 12, 13, "hello", 0, &client});
  CHECK(out == "2024/01/31 09:08:07 [error] 12#13: *7 hello, client: 1.2.3.4, server: a\n");
  CHECK(out.substr(at, 5) == "hello");

  out.clear();
  build_line(out, c, {Level::notice, 12, 12, "start", 0, nullptr});
  CHECK(out == "2024/01/31 09:08:07 [notice] 12#12: start\n");
}

TEST_CASE("an errno is spelled out before the context", "[log]") {
  const Client client;
  std::string out;
  build_line(out, fake_clock(), {Level::crit, 1, 1, "open() \"x\" failed", 2, &client});
  CHECK(after_ids(out) ==
        "*7 open() \"x\" failed (2: No such file or directory), client: 1.2.3.4, server: a\n");
}

TEST_CASE("debug lines have no context", "[log]") {
  const Client client;
  std::string out;
  build_line(out, fake_clock(), {Level::debug, 1, 1, "x", 0, &client});
  CHECK(after_ids(out) == "*7 x\n");
}

TEST_CASE("a long line is cut and still ends in a newline and an errno", "[log]") {
  const std::string longer(10000, 'a');
  std::string out;
  build_line(out, fake_clock(), {Level::error, 1, 1, longer, 0, nullptr});
  CHECK(out.size() == kMaxLine);
  CHECK(out.back() == '\n');

  out.clear();
  build_line(out, fake_clock(), {Level::error, 1, 1, longer, 2, nullptr});
  CHECK(out.size() <= kMaxLine);
  CHECK(out.find("aaa... (2: No such file or directory)\n") != std::string::npos);
}

TEST_CASE("targets take lines up to their level; a matched debug connection reaches all", "[log]") {
  const TempDir dir;
  OpenFiles files;
  ErrorLog log;
  const auto resolve = [&](std::string_view name) { return dir.path + "/" + std::string(name); };
  const std::string_view quiet[] = {"quiet.log"};
  const std::string_view loud[] = {"loud.log", "info"};
  REQUIRE(log.add(quiet, resolve, files, "c:1"));
  REQUIRE(log.add(loud, resolve, files, "c:2"));
  REQUIRE(files.open_all());
  CHECK(log.level() == Level::info);

  Logger logger{&log};
  CHECK_FALSE(logger.enabled(Level::debug));
  info(logger, "one {}", 1);
  error(logger, "two");
  CHECK(dir.read("quiet.log").find("one") == std::string::npos);
  CHECK(dir.read("quiet.log").find("] ") != std::string::npos);
  CHECK(dir.read("loud.log").find("one 1\n") != std::string::npos);
  CHECK(dir.read("loud.log").find("two\n") != std::string::npos);

  logger.everything = true;
  debug(logger, "three");
  CHECK(dir.read("quiet.log").find("three\n") != std::string::npos);
}

TEST_CASE("bad error_log arguments are named", "[log]") {
  OpenFiles files;
  ErrorLog log;
  const auto same = [](std::string_view name) { return std::string(name); };
  const auto add = [&](std::vector<std::string_view> args) {
    const auto status = log.add(args, same, files, "c:1");
    return status ? std::string() : status.error().text;
  };
  CHECK(add({"f", "loud"}) == "invalid log level \"loud\"");
  CHECK(add({"f", "info", "warn"}) == "duplicate log level \"warn\"");
  CHECK(add({"f", "debug_http", "debug_event"}).empty());
  CHECK(add({"memory:1k"}) == "invalid buffer size \"1k\"");
  CHECK(add({"memory:32k", "debug"}).empty());
  CHECK(add({"syslog:facility=user"}) == "no syslog server specified");
  CHECK(add({"syslog:server=127.0.0.1,facility=none"}) == "unknown syslog facility \"none\"");
  CHECK(add({"syslog:server=127.0.0.1,tag=a-b"}) ==
        "syslog \"tag\" only allows alphanumeric characters and underscore");
  CHECK(add({"syslog:server=127.0.0.1:0"}) == "invalid port in syslog server \"127.0.0.1:0\"");
  CHECK(add({"syslog:server=[::1]:5514,nohostname,tag=mp,severity=debug"}).empty());
}

TEST_CASE("reopen follows a renamed file and flushes before", "[log]") {
  const TempDir dir;
  OpenFiles files;
  ErrorLog log;
  OpenFile* file = files.get(dir.path + "/e.log");
  CHECK(files.get(dir.path + "/e.log") == file);
  log.add_file(dir.path + "/e.log", Level::error, files);
  REQUIRE(files.open_all());
  int flushed = 0;
  file->on_flush = [&] { ++flushed; };
  const Logger logger{&log};
  error(logger, "before");
  std::filesystem::rename(dir.path + "/e.log", dir.path + "/e.old");
  files.reopen(logger, static_cast<uid_t>(-1));
  error(logger, "after");
  CHECK(flushed == 1);
  CHECK(dir.read("e.old").find("before") != std::string::npos);
  CHECK(dir.read("e.log").find("after") != std::string::npos);
}

TEST_CASE("a file that cannot be opened is reported with its name", "[log]") {
  OpenFiles files;
  files.get("/nonexistent-directory/x.log");
  const auto status = files.open_all();
  REQUIRE_FALSE(status);
  CHECK(status.error().text ==
        "open() \"/nonexistent-directory/x.log\" failed (2: No such file or directory)");
}

TEST_CASE("a pipe nobody reads loses lines instead of stopping the process", "[log]") {
  const TempDir dir;
  const std::string path = dir.path + "/pipe";
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  const int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  REQUIRE(reader != -1);
  OpenFiles files;
  OpenFile* file = files.get(path);
  REQUIRE(files.open_all());
  const std::string line(4096, 'x');
  int written = 0;
  while (written < 100 && file->append(line)) ++written;
  CHECK(written == 16);  // the default capacity of a pipe
  ::close(reader);
}

TEST_CASE("syslog messages carry the line's severity", "[log]") {
  const TempDir dir;
  const std::string path = dir.path + "/s";
  const int server = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, path.c_str());
  REQUIRE(::bind(server, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);

  OpenFiles files;
  ErrorLog log;
  const std::string spec = "syslog:server=unix:" + path + ",nohostname,tag=mp";
  const std::string_view args[] = {spec, "debug"};
  REQUIRE(log.add(args, [](std::string_view n) { return std::string(n); }, files, "c:1"));
  warn({&log}, "careful");
  char buffer[512];
  const auto n = ::recv(server, buffer, sizeof buffer, 0);
  REQUIRE(n > 0);
  const std::string message(buffer, static_cast<std::size_t>(n));
  CHECK(message.substr(0, 5) == "<188>");
  CHECK(message.find(" mp: ") != std::string::npos);
  CHECK(message.substr(message.size() - 7) == "careful");
  ::close(server);
}

}  // namespace
}  // namespace mp::log
