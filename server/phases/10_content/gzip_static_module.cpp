// gzip_static: the file with ".gz" behind its name is sent in place of the one asked for.
#include <cerrno>

#include "conf/setters.hpp"
#include "filters/gzip_accept.hpp"
#include "http/core_conf.hpp"
#include "http/file_path.hpp"
#include "http/open_file.hpp"
#include "http/request.hpp"
#include "phases/10_content/static_module.hpp"

namespace mp::phases {

using http::Request;
using http::Step;

namespace {

enum class GzipStatic : std::uint8_t { off, on, always };

struct GzipStaticConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  conf::Setting<GzipStatic> mode;
  Status merge(conf::Context&, const GzipStaticConf& parent) {
    mode.inherit(parent.mode, GzipStatic::off);
    return {};
  }
};

constexpr conf::Named<GzipStatic> kModes[] = {
    {"off", GzipStatic::off}, {"on", GzipStatic::on}, {"always", GzipStatic::always}};

constexpr conf::Directive kDirectives[] = {
    {.name = "gzip_static",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = conf::set_enum<&GzipStaticConf::mode, kModes>},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<GzipStaticConf>()};

void log_failure(Request& r, const http::OpenedFile& file, std::string_view path) {
  switch (file.error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
      return;
    case EACCES:
    case EMLINK:
    case ELOOP:
      return log::error(r.logger, log::Errno{file.error}, "{} \"{}\" failed", file.failed_call, path);
    default:
      log::crit(r.logger, log::Errno{file.error}, "{} \"{}\" failed", file.failed_call, path);
  }
}

}  // namespace

Step serve_gzip_static(Request& r) {
  const GzipStatic mode = r.conf<GzipStaticConf>().mode.get();
  if (mode == GzipStatic::off) return Step::decline();
  if (r.method != http::Method::get && r.method != http::Method::head) return Step::decline();
  if (r.uri.ends_with('/')) return Step::decline();
  const bool may = mode == GzipStatic::always || filters::may_gzip(r);
  if (!may && !r.conf<filters::GzipAcceptConf>().vary) return Step::decline();

  const std::string_view terminated =
      r.arena.concat(http::map_to_path(r, r.uri), std::string_view(".gz\0", 4));
  const std::string_view path = terminated.substr(0, terminated.size() - 1);
  const http::FileRef file = http::open_file(r, path);
  if (!file->ok()) {
    log_failure(r, *file, path);
    return Step::decline();
  }
  if (mode == GzipStatic::on) {
    filters::add_vary(r);
    if (!may) return Step::decline();
  }
  if (file->is_dir) return Step::decline();
  if (!file->is_file) {
    log::crit(r.logger, "\"{}\" is not a regular file", path);
    return Step::finish(404);
  }
  r.out.headers.set(http::HeaderId::content_encoding, "gzip");
  return send_opened_file(r, file);
}

const conf::Module kGzipStaticModule = {
    .name = "http_gzip_static", .directives = kDirectives, .confs = kConfs};

}  // namespace mp::phases
