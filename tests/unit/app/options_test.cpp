#include "app/options.hpp"

#include <vector>

#include <catch2/catch.hpp>

#include "app/build_details.hpp"

namespace mp::app {
namespace {

Result<Options> parse(std::vector<const char*> args) {
  return parse_options(args);
}

TEST_CASE("the command line is read as nginx reads it", "[cli]") {
  const auto o = parse({"-p", "/srv", "-c", "a.conf", "-e", "stderr", "-g", "daemon off;", "-tq"});
  REQUIRE(o);
  CHECK(o->prefix_path == "/srv/");
  CHECK(o->conf_path == "/srv/a.conf");
  CHECK(o->error_log_path.empty());
  CHECK(o->directives == "daemon off;");
  CHECK(o->test);
  CHECK(o->quiet);
  CHECK_FALSE(o->dump);
}

TEST_CASE("a value may follow its letter directly, and absolute paths stay", "[cli]") {
  const auto o = parse({"-p.", "-c/etc/x.conf", "-sreload"});
  REQUIRE(o);
  CHECK(o->prefix_path == "./");
  CHECK(o->conf_path == "/etc/x.conf");
  CHECK(o->error_log_path == "./logs/error.log");
  CHECK(o->signal == "reload");
}

TEST_CASE("defaults are below the built-in prefix", "[cli]") {
  const auto o = parse({});
  REQUIRE(o);
  CHECK(o->conf_path == "/usr/local/moonphase/conf/nginx.conf");
  CHECK(o->error_log_path == "/usr/local/moonphase/logs/error.log");
}

TEST_CASE("mistakes on the command line are named", "[cli]") {
  const auto text = [](std::vector<const char*> args) {
    const auto o = parse(std::move(args));
    return o ? std::string() : o.error().text;
  };
  CHECK(text({"x"}) == "invalid option: \"x\"");
  CHECK(text({"-vx"}) == "invalid option: \"x\"");
  CHECK(text({"-s", "jump"}) == "invalid option: \"-s jump\"");
  CHECK(text({"-c"}) == "option \"-c\" requires file name");
  CHECK(text({"-e"}) == "option \"-e\" requires file name");
  CHECK(text({"-p"}) == "option \"-p\" requires directory name");
  CHECK(text({"-g"}) == "option \"-g\" requires parameter");
  CHECK(text({"-s"}) == "option \"-s\" requires parameter");
}

TEST_CASE("-V says what scripts look for", "[cli]") {
  Options o;
  o.version = o.build_details = true;
  const std::string text = version_text(o, configure_arguments());
  CHECK(text.find("nginx version: nginx/1.31.5\n") == 0);
  CHECK(text.find("\nmoonphase version: moonphase/" MP_VERSION "\n") != std::string::npos);
  CHECK(text.find("built with OpenSSL ") != std::string::npos);
  const bool tls = text.find(" --with-http_ssl_module") != std::string::npos;
  CHECK((text.find("\nTLS SNI support enabled\n") != std::string::npos) == tls);
  CHECK(text.find("\nconfigure arguments: --with") != std::string::npos);
  CHECK(text.find("--without-http_rewrite_module") == std::string::npos);
  CHECK(text.find("--without-http ") == std::string::npos);
}

}  // namespace
}  // namespace mp::app
