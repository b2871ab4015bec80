#include "phases/10_content/dav_module.hpp"

#include <cerrno>
#include <cstdio>
#include <optional>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ascii.hpp"
#include "base/clock.hpp"
#include "base/escape.hpp"
#include "base/strings.hpp"
#include "conf/setters.hpp"
#include "fiber/blocking.hpp"
#include "http/body.hpp"
#include "http/core_conf.hpp"
#include "http/file_path.hpp"
#include "http/redirect.hpp"
#include "http/request.hpp"
#include "http/uri.hpp"
#include "phases/10_content/file_tree.hpp"

namespace mp::phases {

using http::Method;
using http::Request;
using http::Step;

namespace {

constexpr std::uint32_t kMethodsOff = static_cast<std::uint32_t>(Method::other);

struct DavConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  conf::Setting<std::uint32_t> methods;
  conf::Setting<std::int64_t> min_delete_depth;
  conf::Setting<bool> create_full_put_path;
  conf::Setting<conf::Access> access;

  Status merge(conf::Context&, const DavConf& parent) {
    methods.inherit(parent.methods, kMethodsOff);
    min_delete_depth.inherit(parent.min_delete_depth, 0);
    create_full_put_path.inherit(parent.create_full_put_path, false);
    access.inherit(parent.access, 0600);
    return {};
  }
  // Whoever may read a folder may also enter it.
  mode_t folder_mode() const {
    const unsigned mode = access;
    return mode | (mode & 0444) >> 2;
  }
};

constexpr int kInfinity = -1;
constexpr int kInvalidDepth = -2;

int depth_of(const Request& r, int otherwise) {
  const http::HeaderField* field = r.in.find(http::HeaderId::depth);
  if (field == nullptr) return otherwise;
  if (field->value == "0") return 0;
  if (field->value == "1") return 1;
  return field->value == "infinity" ? kInfinity : kInvalidDepth;
}

Step refuse(Request& r, int error, int when_missing, std::string_view call, std::string_view path) {
  int status = 500;
  log::Level level = log::Level::error;
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
      status = when_missing;
      break;
    case EACCES:
      status = 403;
      break;
    case EEXIST:
      status = 405;
      break;
    case ENOSPC:
      level = log::Level::crit;
      status = 507;
      break;
    default:
      level = log::Level::crit;
      break;
  }
  log::write(level, r.logger, log::Errno{error}, "{} \"{}\" failed", call, path);
  return Step::finish(status);
}

Step refuse(Request& r, int status, std::string_view why) {
  log::write_text(log::Level::error, r.logger, why);
  return Step::finish(status);
}

Step answer(Request& r, int status) {
  r.out.status = status;
  if (status == 201) r.out.content_length = 0;
  r.send_head();
  r.finish_body();
  return Step::done();
}

// What the request's own URI names is there now.
Step answer_created(Request& r) {
  r.out.headers.set(http::HeaderId::location, escape_uri(r.arena, r.uri, UriEscape::uri));
  return answer(r, 201);
}

bool has_body(const Request& r) {
  return r.content_length_in > 0 || r.chunked_in;
}

// Large files and deep folders take their time: the worker goes on meanwhile. Returns the error, or 0.
template <class Work>
int beside(Work work) {
  int error = 0;
  fiber::run_blocking([&] { error = work(); });
  return error;
}

std::string path_of(Request& r, std::string_view uri) {
  std::string path;
  for (const char c : http::map_to_path(r, uri)) {
    if (c != '/' || !path.ends_with('/')) path += c;
  }
  return path;
}

std::string without_slash(std::string path) {
  if (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

// ---- PUT

// The body in a file of its own, whatever its size.
Status ensure_file(Request& r) {
  if (r.body.file.fd() >= 0) return {};
  TRY(r.body.file.create(r.conf<http::CoreLocation>().client_body_temp_path.get(), true));
  return r.body.file.append(r.body.text(r));
}

Step put(Request& r, const DavConf& c) {
  if (r.uri.ends_with('/')) return refuse(r, 409, "cannot PUT to a collection");
  if (r.in.find(http::HeaderId::content_range) != nullptr)
    return refuse(r, 501, "PUT with range is unsupported");
  if (const int status = http::read_body(r, {.in_file_only = true}); status != 0) return Step::finish(status);
  if (const Status stored = ensure_file(r); !stored) return refuse(r, 500, stored.error().text);

  const std::string path(http::map_to_path(r, r.uri));
  struct stat facts{};
  const bool existed = stat(path.c_str(), &facts) == 0;
  if (existed && S_ISDIR(facts.st_mode)) {
    log::error(r.logger, log::Errno{EISDIR}, "\"{}\" could not be created", path);
    return Step::finish(409);
  }
  const int fd = r.body.file.fd();
  if (fchmod(fd, c.access) != 0) return refuse(r, errno, 500, "chmod()", r.body.file.path());
  if (const http::HeaderField* date = r.in.find(http::HeaderId::date)) {
    if (const auto when = parse_http_date(date->value)) {
      const timespec times[2] = {{static_cast<std::time_t>(*when), 0}, {static_cast<std::time_t>(*when), 0}};
      futimens(fd, times);
    }
  }
  const int error =
      beside([&] { return place_file(r.body.file.path(), path, c.create_full_put_path, c.folder_mode()); });
  if (error != 0) {
    return refuse(r, error, 500, "rename()", r.arena.concat(r.body.file.path(), "\" to \"", path));
  }
  r.body.file.keep();
  return existed ? answer(r, 204) : answer_created(r);
}

// ---- DELETE

bool deep_enough(Request& r, std::int64_t wanted) {
  if (wanted == 0) return true;
  std::int64_t depth = 0;
  for (std::size_t i = 0; i < r.uri.size(); ++i) {
    if (r.uri[i] == '/' && ++depth >= wanted && i + 1 < r.uri.size()) return true;
  }
  log::error(r.logger, "insufficient URI depth:{} to DELETE", depth);
  return false;
}

Step remove_at(Request& r, const std::string& path, bool folder, int success) {
  const int error = folder                      ? beside([&] { return delete_folder(path); })
                    : unlink(path.c_str()) == 0 ? 0
                                                : errno;
  if (error != 0) return refuse(r, error, 404, folder ? "rmdir()" : "unlink()", path);
  return Step::finish(success);
}

Step remove(Request& r, const DavConf& c) {
  if (has_body(r)) return refuse(r, 415, "DELETE with body is unsupported");
  if (!deep_enough(r, c.min_delete_depth)) return Step::finish(409);
  const std::string path(http::map_to_path(r, r.uri));
  struct stat facts{};
  if (lstat(path.c_str(), &facts) != 0)
    return refuse(r, errno, errno == ENOTDIR ? 409 : 404, "lstat()", path);
  const bool folder = S_ISDIR(facts.st_mode);
  const int depth = depth_of(r, kInfinity);
  if (folder && !r.uri.ends_with('/')) {
    log::error(r.logger, log::Errno{EISDIR}, "DELETE \"{}\" failed", path);
    return Step::finish(409);
  }
  if (folder && depth != kInfinity) return refuse(r, 400, "\"Depth\" header must be infinity");
  if (!folder && depth != 0 && depth != kInfinity)
    return refuse(r, 400, "\"Depth\" header must be 0 or infinity");
  const Step step = remove_at(r, folder ? without_slash(path) : path, folder, 204);
  return step.status() == 204 ? answer(r, 204) : step;
}

// ---- MKCOL

Step make_folder(Request& r, const DavConf& c) {
  if (has_body(r)) return refuse(r, 415, "MKCOL with body is unsupported");
  if (!r.uri.ends_with('/')) return refuse(r, 409, "MKCOL can create a collection only");
  const std::string path = without_slash(std::string(http::map_to_path(r, r.uri)));
  if (mkdir(path.c_str(), c.folder_mode()) != 0) return refuse(r, errno, 409, "mkdir()", path);
  return answer_created(r);
}

// ---- COPY and MOVE

// The path that the Destination field names on this very host; nothing, after a log line, when it names none.
std::optional<std::string_view> destination(Request& r, std::string_view field) {
  std::string_view rest = field;
  if (!rest.starts_with('/')) {
    if (r.host.empty()) {
      log::error(r.logger, "client sent no \"Host\" header");
      return std::nullopt;
    }
    const bool url = consume(rest, r.arena.concat(http::scheme_of(r), "://"));
    if (url && !starts_with_nocase(rest, r.host)) {
      log::error(r.logger,
                 "\"Destination\" URI \"{}\" is handled by different repository than the source URI", field);
      return std::nullopt;
    }
    const std::size_t slash = url ? rest.find('/', r.host.size()) : std::string_view::npos;
    rest = slash != std::string_view::npos ? rest.substr(slash) : std::string_view();
  }
  const auto uri = rest.empty() ? std::nullopt : http::parse_internal_uri(r.arena, rest);
  if (!uri) {
    log::error(r.logger, "client sent invalid \"Destination\" header: \"{}\"", field);
    return std::nullopt;
  }
  return uri->path;
}

// "T" or "F"; nothing, after a log line, for anything else.
std::optional<bool> overwrites(Request& r) {
  const http::HeaderField* field = r.in.find(http::HeaderId::overwrite);
  if (field == nullptr || equals_nocase(field->value, "T")) return true;
  if (equals_nocase(field->value, "F")) return false;
  log::error(r.logger, "client sent invalid \"Overwrite\" header: \"{}\"", field->value);
  return std::nullopt;
}

// One lies in the other, or they are the same.
bool nested(const std::string& a, const std::string& b) {
  const std::string& shorter = a.size() < b.size() ? a : b;
  const std::string& longer = a.size() < b.size() ? b : a;
  return longer.starts_with(shorter) && (longer.size() == shorter.size() || longer[shorter.size()] == '/');
}

Step transfer_folder(Request& r, const std::string& from, const std::string& to) {
  if (r.method == Method::move && std::rename(from.c_str(), to.c_str()) == 0) return answer(r, 201);
  if (const int error = beside([&] { return copy_folder(from, to); }))
    return refuse(r, error, 404, "mkdir()", to);
  if (r.method == Method::move) {
    if (const int error = beside([&] { return delete_folder(from); }))
      return refuse(r, error, 404, "rmdir()", from);
  }
  return answer(r, 201);
}

Step transfer_file(Request& r, const DavConf& c, const std::string& from, const std::string& to) {
  const bool moves = r.method == Method::move;
  const int error =
      beside([&] { return moves ? place_file(from, to, true, c.folder_mode()) : copy_file(from, to); });
  if (error != 0) return refuse(r, error, 500, moves ? "rename()" : "open()", to);
  return answer(r, 204);
}

Step transfer(Request& r, const DavConf& c) {
  if (has_body(r)) return refuse(r, 415, "COPY and MOVE with body are unsupported");
  const http::HeaderField* field = r.in.find(http::HeaderId::destination);
  if (field == nullptr) return refuse(r, 400, "client sent no \"Destination\" header");
  const auto target = destination(r, field->value);
  if (!target) return Step::finish(400);
  const bool folder_uri = r.uri.ends_with('/');
  if (folder_uri != target->ends_with('/')) {
    log::error(
        r.logger,
        "both URI \"{}\" and \"Destination\" URI \"{}\" should be either collections or non-collections",
        r.uri, field->value);
    return Step::finish(409);
  }
  const int depth = depth_of(r, kInfinity);
  if (depth != kInfinity && !(depth == 0 && r.method == Method::copy)) {
    return refuse(r, 400,
                  r.method == Method::copy ? "\"Depth\" header must be 0 or infinity"
                                           : "\"Depth\" header must be infinity");
  }
  const auto overwrite = overwrites(r);
  if (!overwrite) return Step::finish(400);

  const std::string from = path_of(r, r.uri);
  const std::string to = without_slash(path_of(r, *target));
  if (without_slash(from) == to || (folder_uri && nested(without_slash(from), to))) {
    log::error(r.logger, "both URI \"{}\" and \"Destination\" URI \"{}\" point to the same location", r.uri,
               field->value);
    return Step::finish(403);
  }
  struct stat there{};
  const bool exists = lstat(to.c_str(), &there) == 0;
  if (!exists && errno != ENOENT) return refuse(r, errno, 404, "lstat()", to);
  if (exists && S_ISDIR(there.st_mode) && !folder_uri) {
    log::error(r.logger, "\"{}\" could not be {}ed to collection \"{}\"", r.uri, r.method_text, field->value);
    return Step::finish(409);
  }
  if (exists && !*overwrite) {
    log::error(r.logger, log::Errno{EEXIST}, "\"{}\" could not be created", to);
    return Step::finish(412);
  }
  struct stat source{};
  if (lstat(from.c_str(), &source) != 0) return refuse(r, errno, 404, "lstat()", from);
  if (!S_ISDIR(source.st_mode)) return transfer_file(r, c, from, to);
  if (!folder_uri) {
    log::error(r.logger, "\"{}\" is collection", r.uri);
    return Step::finish(400);
  }
  if (exists) {
    const Step removed = remove_at(r, to, S_ISDIR(there.st_mode), 0);
    if (removed.status() != 0) return removed;
  }
  return transfer_folder(r, without_slash(from), to);
}

constexpr conf::Named<std::uint32_t> kMethods[] = {{"off", kMethodsOff},
                                                   {"put", static_cast<std::uint32_t>(Method::put)},
                                                   {"delete", static_cast<std::uint32_t>(Method::delete_)},
                                                   {"mkcol", static_cast<std::uint32_t>(Method::mkcol)},
                                                   {"copy", static_cast<std::uint32_t>(Method::copy)},
                                                   {"move", static_cast<std::uint32_t>(Method::move)}};

constexpr conf::Directive kDirectives[] = {
    {.name = "dav_methods",
     .where = conf::kHttpServerLocation,
     .args = conf::at_least(1),
     .parse = conf::set_bits<&DavConf::methods, kMethods>},
    {.name = "create_full_put_path",
     .where = conf::kHttpServerLocation,
     .args = conf::flag(),
     .parse = conf::set<&DavConf::create_full_put_path>},
    {.name = "min_delete_depth",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = conf::set<&DavConf::min_delete_depth>},
    {.name = "dav_access",
     .where = conf::kHttpServerLocation,
     .args = conf::between(1, 3),
     .parse = conf::set<&DavConf::access>},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<DavConf>()};

}  // namespace

Step serve_dav(Request& r) {
  const auto& c = r.conf<DavConf>();
  if (r.method == Method::other || !http::contains(c.methods, r.method)) return Step::decline();
  switch (r.method) {
    case Method::put:
      return put(r, c);
    case Method::delete_:
      return remove(r, c);
    case Method::mkcol:
      return make_folder(r, c);
    case Method::copy:
    case Method::move:
      return transfer(r, c);
    default:
      return Step::decline();
  }
}

const conf::Module kDavModule = {.name = "http_dav", .directives = kDirectives, .confs = kConfs};

}  // namespace mp::phases
