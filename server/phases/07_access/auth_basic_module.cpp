// auth_basic: a name and a password out of a file.
#include <cerrno>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/password.hpp"
#include "base/strings.hpp"
#include "conf/setters.hpp"
#include "fiber/blocking.hpp"
#include "http/basic_credentials.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"
#include "phases/07_access/access_modules.hpp"
#include "phases/07_access/password_file.hpp"

namespace mp::phases {

using conf::Context;
using conf::Node;
using http::Request;
using http::Step;

namespace {

constexpr std::size_t kMaxFile = 16 * 1024 * 1024;

struct AuthBasicConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  conf::Setting<http::Template> realm;
  conf::Setting<http::Template> user_file;

  Status merge(Context&, const AuthBasicConf& parent) {
    realm.inherit(parent.realm);
    user_file.inherit(parent.user_file);
    return {};
  }
};

Status parse_user_file(Context& ctx, const Node& node) {
  auto& setting = ctx.conf<AuthBasicConf>().user_file;
  if (setting.is_set()) return conf::duplicate();
  auto path = http::Template::compile(ctx, ctx.full_conf_path(node.args[0].text));
  if (!path) return ctx.error(node.args[0], path.error().text);
  setting.set(std::move(*path));
  return {};
}

// The whole file; or the errno of what failed.
struct FileText {
  std::string text;
  int error = 0;
};

FileText read_file(const char* path) {
  FileText file;
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    file.error = errno;
    return file;
  }
  char buffer[4096];
  for (;;) {
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) file.error = errno;
    if (n <= 0 || file.text.size() > kMaxFile) break;
    file.text.append(buffer, static_cast<std::size_t>(n));
  }
  close(fd);
  return file;
}

Step demand(Request& r, std::string_view realm) {
  r.out.headers.set(http::HeaderId::www_authenticate, r.arena.concat("Basic realm=\"", realm, "\""));
  return Step::finish(401);
}

// Forms that are made to take long; the others take less than starting a thread.
bool is_slow(std::string_view stored) {
  return stored.starts_with("$2") || stored.starts_with("$5$") || stored.starts_with("$6$") ||
         stored.starts_with("$7$") || stored.starts_with("$y$") || stored.starts_with("$gy$");
}

Result<bool> compare(std::string_view stored, std::string_view given) {
  if (!is_slow(stored)) return check_password(stored, given);
  Result<bool> result = false;
  fiber::run_blocking([&] { result = check_password(stored, given); });
  return result;
}

constexpr conf::Scope kScopes = conf::kHttpServerLocation | conf::Scope::limit_except;

constexpr conf::Directive kDirectives[] = {
    {.name = "auth_basic",
     .where = kScopes,
     .args = conf::exactly(1),
     .parse = conf::set<&AuthBasicConf::realm>},
    {.name = "auth_basic_user_file", .where = kScopes, .args = conf::exactly(1), .parse = parse_user_file},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<AuthBasicConf>()};

}  // namespace

Step check_password_of(Request& r) {
  const auto& c = r.conf<AuthBasicConf>();
  if (!c.realm.is_set() || !c.user_file.is_set()) return Step::decline();
  const std::string_view realm = c.realm->evaluate(r);
  if (realm == "off") return Step::decline();

  const auto credentials = http::basic_credentials(r);
  if (!credentials) {
    log::info(r.logger, "no user/password was provided for basic authentication");
    return demand(r, realm);
  }
  const char* path = c_string(r.arena, c.user_file->evaluate(r));
  const FileText file = read_file(path);
  if (file.error != 0) {
    const bool missing = file.error == ENOENT;
    log::write(missing ? log::Level::error : log::Level::crit, r.logger, log::Errno{file.error},
               "open() \"{}\" failed", path);
    return Step::finish(missing ? 403 : 500);
  }
  const auto stored = find_stored_password(file.text, credentials->name);
  if (!stored) {
    log::error(r.logger, "user \"{}\" was not found in \"{}\"", credentials->name, path);
    return demand(r, realm);
  }
  const auto right = compare(*stored, credentials->password);
  if (!right) {
    log::write_text(log::Level::crit, r.logger, right.error().text);
    return Step::finish(500);
  }
  if (*right) return Step::pass();
  log::error(r.logger, "user \"{}\": password mismatch", credentials->name);
  return demand(r, realm);
}

const conf::Module kAuthBasicModule = {.name = "http_auth_basic", .directives = kDirectives, .confs = kConfs};

}  // namespace mp::phases
