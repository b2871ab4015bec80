// autoindex: a list of a folder.
#include <string>
#include <vector>

#include <sys/stat.h>

#include "base/ascii.hpp"
#include "base/clock.hpp"
#include "conf/setters.hpp"
#include "http/body.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"
#include "phases/10_content/folder_listing.hpp"
#include "phases/10_content/folder_modules.hpp"

namespace mp::phases {

using http::Request;
using http::Step;

namespace {

enum class ListFormat : std::uint8_t { html, json, jsonp, xml };

struct AutoindexConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  conf::Setting<bool> enabled;
  conf::Setting<ListFormat> format;
  conf::Setting<bool> local_time;
  conf::Setting<bool> exact_size;

  Status merge(conf::Context&, const AutoindexConf& parent) {
    enabled.inherit(parent.enabled, false);
    format.inherit(parent.format, ListFormat::html);
    local_time.inherit(parent.local_time, false);
    exact_size.inherit(parent.exact_size, true);
    return {};
  }
};

constexpr std::size_t kMaxCallback = 128;

// The `callback` argument; false when it is no name of a function.
bool read_callback(Request& r, std::string_view& callback) {
  callback = r.variable("arg_callback").text;
  if (callback.size() > kMaxCallback) {
    log::info(r.logger, "client sent too long callback name: \"{}\"", callback);
    return false;
  }
  for (const char c : callback) {
    if (is_alpha(c) || is_digit(c) || c == '_' || c == '.') continue;
    log::info(r.logger, "client sent invalid callback name: \"{}\"", callback);
    return false;
  }
  return true;
}

void set_type(Request& r, ListFormat format) {
  r.out.status = 200;
  switch (format) {
    case ListFormat::html:
      r.out.content_type = "text/html";
      break;
    case ListFormat::json:
      r.out.content_type = "application/json";
      break;
    case ListFormat::jsonp:
      r.out.content_type = "application/javascript";
      break;
    case ListFormat::xml:
      r.out.content_type = "text/xml";
      r.out.charset = "utf-8";
      break;
  }
}

std::string listing(const Request& r, ListFormat format, const std::vector<FolderEntry>& entries,
                    std::string_view callback) {
  const auto& c = r.conf<AutoindexConf>();
  switch (format) {
    case ListFormat::xml:
      return list_as_xml(entries);
    case ListFormat::json:
      return list_as_json(entries, {});
    case ListFormat::jsonp:
      return list_as_json(entries, callback);
    case ListFormat::html:
      break;
  }
  const HtmlListing options{.exact_size = c.exact_size,
                            .utf8 = equals_nocase(r.out.charset, "utf-8"),
                            .time_offset = c.local_time ? clock().gmtoff_minutes() * 60 : 0};
  return list_as_html(r.uri, entries, options);
}

constexpr conf::Named<ListFormat> kFormats[] = {{"html", ListFormat::html},
                                                {"json", ListFormat::json},
                                                {"jsonp", ListFormat::jsonp},
                                                {"xml", ListFormat::xml}};

constexpr conf::Directive kDirectives[] = {
    {.name = "autoindex",
     .where = conf::kHttpServerLocation,
     .args = conf::flag(),
     .parse = conf::set<&AutoindexConf::enabled>},
    {.name = "autoindex_format",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = conf::set_enum<&AutoindexConf::format, kFormats>},
    {.name = "autoindex_localtime",
     .where = conf::kHttpServerLocation,
     .args = conf::flag(),
     .parse = conf::set<&AutoindexConf::local_time>},
    {.name = "autoindex_exact_size",
     .where = conf::kHttpServerLocation,
     .args = conf::flag(),
     .parse = conf::set<&AutoindexConf::exact_size>},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<AutoindexConf>()};

}  // namespace

Step list_folder(Request& r) {
  const auto& c = r.conf<AutoindexConf>();
  if (!c.enabled || !r.uri.ends_with('/')) return Step::decline();
  if (r.method != http::Method::get && r.method != http::Method::head) return Step::decline();
  if (!http::discard_body(r)) r.keepalive = false;

  ListFormat format = c.format.get();
  std::string_view callback;
  if (format == ListFormat::jsonp) {
    if (!read_callback(r, callback)) return Step::finish(400);
    if (callback.empty()) format = ListFormat::json;
  }
  std::vector<FolderEntry> entries;
  const int status = read_folder(r, folder_path(r), [&](std::string_view name, const struct stat& facts) {
    entries.push_back(
        {std::string(name), S_ISDIR(facts.st_mode), S_ISREG(facts.st_mode), facts.st_mtime, facts.st_size});
  });
  if (status != 0) return Step::finish(status);
  sort_entries(entries);
  set_type(r, format);
  if (!r.send_head() || r.header_only) {
    r.finish_body();
    return Step::done();
  }
  r.write(listing(r, format, entries, callback), true);
  return Step::done();
}

const conf::Module kAutoindexModule = {.name = "http_autoindex", .directives = kDirectives, .confs = kConfs};

}  // namespace mp::phases
