// The directives and variables of server side includes.
#include <ctime>
#include <string>

#include "base/clock.hpp"
#include "conf/setters.hpp"
#include "filters/ssi/conf.hpp"
#include "filters/ssi/ssi.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"

namespace mp::filters {

using http::Request;

Status SsiConf::merge(conf::Context&, const SsiConf& parent) {
  enabled.inherit(parent.enabled, false);
  silent_errors.inherit(parent.silent_errors, false);
  ignore_recycled_buffers.inherit(parent.ignore_recycled_buffers, false);
  last_modified.inherit(parent.last_modified, false);
  min_file_chunk.inherit(parent.min_file_chunk, 1024);
  value_length.inherit(parent.value_length, 255);
  in_memory.inherit(parent.in_memory, 4096);
  http::inherit_mime_types(types, parent.types, http::kHtmlOnly);
  return {};
}

namespace {

http::Value date(Request& r, bool gmt) {
  const SsiTimeFormat* format = r.find_ctx<SsiTimeFormat>();
  const std::string wanted = format != nullptr ? format->text : SsiTimeFormat().text;
  const std::time_t now = static_cast<std::time_t>(clock().seconds());
  if (wanted == "%s") return http::Value::of(r.arena.copy(std::to_string(now)));
  std::tm parts{};
  gmt ? gmtime_r(&now, &parts) : localtime_r(&now, &parts);
  char text[2048];
  const std::size_t size = std::strftime(text, sizeof text, wanted.c_str(), &parts);
  return http::Value::volatile_(r.arena.copy({text, size}));
}
http::Value date_local(Request& r, const http::Variable&) {
  return date(r, false);
}
http::Value date_gmt(Request& r, const http::Variable&) {
  return date(r, true);
}

constexpr http::Variable kVariables[] = {
    {.name = "date_local", .get = date_local, .cacheable = false},
    {.name = "date_gmt", .get = date_gmt, .cacheable = false},
};

Status parse_types(conf::Context& ctx, const conf::Node& node) {
  return http::parse_mime_types(ctx, node, ctx.conf<SsiConf>().types);
}

constexpr conf::Directive kDirectives[] = {
    {.name = "ssi",
     .where = conf::kHttpServerLocationIf,
     .args = conf::flag(),
     .parse = conf::set<&SsiConf::enabled>},
    {.name = "ssi_silent_errors",
     .where = conf::kHttpServerLocation,
     .args = conf::flag(),
     .parse = conf::set<&SsiConf::silent_errors>},
    {.name = "ssi_ignore_recycled_buffers",
     .where = conf::kHttpServerLocation,
     .args = conf::flag(),
     .parse = conf::set<&SsiConf::ignore_recycled_buffers>},
    {.name = "ssi_min_file_chunk",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = conf::set<&SsiConf::min_file_chunk>},
    {.name = "ssi_value_length",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = conf::set<&SsiConf::value_length>},
    {.name = "ssi_types",
     .where = conf::kHttpServerLocation,
     .args = conf::at_least(1),
     .parse = parse_types},
    {.name = "ssi_last_modified",
     .where = conf::kHttpServerLocation,
     .args = conf::flag(),
     .parse = conf::set<&SsiConf::last_modified>},
    {.name = "subrequest_output_buffer_size",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = conf::set<&SsiConf::in_memory>},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<SsiConf>()};

Status before_http(conf::Context& ctx) {
  ctx.conf<http::CoreMain>().variables.define(kVariables);
  return {};
}

}  // namespace

const conf::Module kSsiModule = {
    .name = "http_ssi", .directives = kDirectives, .confs = kConfs, .before_http = before_http};

}  // namespace mp::filters
