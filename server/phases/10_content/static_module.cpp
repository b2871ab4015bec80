// Files of the document root.
#include "phases/10_content/static_module.hpp"

#include <cerrno>

#include "base/escape.hpp"
#include "conf/setters.hpp"
#include "http/content_type.hpp"
#include "http/core_conf.hpp"
#include "http/etag.hpp"
#include "http/file_path.hpp"
#include "http/open_file.hpp"
#include "http/request.hpp"

namespace mp::phases {

using http::FileRef;
using http::Request;
using http::Step;

namespace {

// Keeps the descriptor for as long as the response needs it: until the request ends.
struct ServedFile {
  FileRef file;
};

}  // namespace

Step refuse_file(Request& r, const http::OpenedFile& file, std::string_view path) {
  int status = 500;
  log::Level level = log::Level::crit;
  switch (file.error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
      status = 404;
      level = log::Level::error;
      break;
    case EACCES:
    case EMLINK:
    case ELOOP:
      status = 403;
      level = log::Level::error;
      break;
    default:
      break;
  }
  if (status != 404 || r.conf<http::CoreLocation>().log_not_found) {
    log::write(level, r.logger, log::Errno{file.error}, "{} \"{}\" failed", file.failed_call, path);
  }
  return Step::finish(status);
}

namespace {

Step redirect_to_folder(Request& r) {
  std::string_view target = escape_uri(r.arena, r.arena.concat(r.uri, "/"), UriEscape::uri);
  if (!r.args.empty()) target = r.arena.concat(target, "?", r.args);
  r.out.headers.set(http::HeaderId::location, target);
  return Step::finish(301);
}

// For kernels that tell when a file changes: not this one.
Status check_switch(conf::Context& ctx, const conf::Node& node) {
  bool on = false;
  return conf::read_value(ctx, node, on);
}

constexpr conf::Directive kDirectives[] = {
    {.name = "open_file_cache_events",
     .where = conf::kHttpServerLocation,
     .args = conf::flag(),
     .parse = check_switch},
    {.name = "open_file_cache",
     .where = conf::kHttpServerLocation,
     .args = conf::between(1, 2),
     .parse = http::parse_open_file_cache},
    {.name = "open_file_cache_valid",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = conf::set<&http::OpenFileConf::cache_valid>},
    {.name = "open_file_cache_min_uses",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = conf::set<&http::OpenFileConf::cache_min_uses>},
    {.name = "open_file_cache_errors",
     .where = conf::kHttpServerLocation,
     .args = conf::flag(),
     .parse = conf::set<&http::OpenFileConf::cache_errors>},
    {.name = "disable_symlinks",
     .where = conf::kHttpServerLocation,
     .args = conf::between(1, 2),
     .parse = http::parse_disable_symlinks},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<http::OpenFileConf>()};

}  // namespace

Step serve_file(Request& r) {
  const bool reads = r.method == http::Method::get || r.method == http::Method::head;
  if (!reads && r.method != http::Method::post) return Step::finish(405);
  if (r.uri.ends_with('/')) return Step::decline();

  const std::string_view path = http::map_to_path(r, r.uri);
  FileRef& file = r.ctx<ServedFile>().file;
  file = http::open_file(r, path);
  if (!file->ok()) return refuse_file(r, *file, path);
  if (file->is_dir) return redirect_to_folder(r);
  if (!file->is_file) {
    log::crit(r.logger, "\"{}\" is not a regular file", path);
    return Step::finish(404);
  }
  if (r.method == http::Method::post) return Step::finish(405);
  return send_opened_file(r, file);
}

bool send_file_head(Request& r, const http::FileRef& file, std::int64_t length) {
  if (!http::discard_body(r)) r.keepalive = false;

  r.connection.doing = " while sending response to client";
  if (FileRef& kept = r.ctx<ServedFile>().file; kept != file) kept = file;
  r.out.status = 200;
  r.out.content_length = length;
  r.out.last_modified = file->mtime;
  if (length != file->size) {
    http::set_etag(r);
  } else if (r.conf<http::CoreLocation>().etag) {
    r.out.headers.set(http::HeaderId::etag, file->etag());
  }
  http::set_content_type(r);
  r.out.allow_ranges = !r.is_sub();
  if (r.send_head() && !r.header_only && length != 0) return true;
  r.finish_body();
  return false;
}

Step send_opened_file(Request& r, const http::FileRef& file) {
  if (!send_file_head(r, file, file->size)) return Step::done();
  // What open_file_cache keeps may be written to meanwhile.
  const bool fresh = r.conf<http::OpenFileConf>().cache == nullptr;
  const std::string_view content = fresh ? file->content() : std::string_view();
  const http::Piece piece = !content.empty()
                                ? http::Piece::memory(content)
                                : http::Piece::file(file->fd, 0, static_cast<std::size_t>(file->size));
  r.write(http::Output{{&piece, 1}, true, false});
  return Step::done();
}

const conf::Module kStaticModule = {.name = "http_static", .directives = kDirectives, .confs = kConfs};

}  // namespace mp::phases
