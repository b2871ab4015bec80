#include "upstream/cgi.hpp"

#include <algorithm>

#include "base/ascii.hpp"
#include "base/numbers.hpp"
#include "base/strings.hpp"
#include "conf/configuration.hpp"
#include "conf/process_conf.hpp"
#include "http/core_conf.hpp"
#include "net/address_url.hpp"
#include "upstream/cache/use.hpp"
#include "upstream/upstream.hpp"

namespace mp::upstream {
namespace {

using http::HeaderId;
using http::Request;

std::string quoted(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

// "User-Agent" as "USER_AGENT".
char cgi_char(char c) {
  if (c >= 'a' && c <= 'z') return static_cast<char>(c - 'a' + 'A');
  return c == '-' ? '_' : c;
}

bool same_cgi_name(std::string_view field, std::string_view name) {
  return std::equal(field.begin(), field.end(), name.begin(), name.end(),
                    [](char a, char b) { return cgi_char(a) == cgi_char(b); });
}

}  // namespace

// ---- where to

Status parse_cgi_pass(conf::Context& ctx, const conf::Node& node, std::string_view address,
                      http::Handler handler, CgiTarget& target) {
  if (target.is_set()) return conf::duplicate();
  auto& core = ctx.conf<http::CoreBlock>();
  core.handler = handler;
  if (!core.is_block && core.location != nullptr && core.location->name.ends_with('/')) {
    const_cast<http::Location*>(core.location)->auto_redirect = true;
  }
  if (http::has_variables(address)) {
    auto url = http::Template::compile(ctx, address);
    if (!url) return ctx.error(node.args[0], url.error().text);
    target.url = std::move(*url);
    return {};
  }
  auto url = net::parse_address_url(address, {});
  if (!url) {
    return ctx.error(node.args[0], url.error().text + " in upstream " + quoted(address));
  }
  auto upstream = ctx.conf<UpstreamMain>().find_or_add(ctx, node, *url);
  if (!upstream) return fail(upstream.error());
  target.upstream = *upstream;
  return {};
}

bool find_cgi_server(Request& r, const CgiTarget& target, Destination& destination) {
  destination.upstream = target.upstream;
  if (!target.url) return true;
  std::string_view text = target.url->evaluate(r);
  // What variables say may have a scheme.
  if (const std::size_t scheme = text.find("://"); scheme != std::string_view::npos)
    text.remove_prefix(scheme + 3);
  const auto url = net::parse_address_url(text, {});
  if (!url) {
    log::error(r.logger, "{} in upstream \"{}\"", url.error().text, text);
    return false;
  }
  destination.host = url->host;
  destination.port = url->port;
  destination.no_port = !url->has_port();
  destination.address = url->address;
  return true;
}

// ---- parameters

Status parse_cgi_param(conf::Context& ctx, const conf::Node& node, std::vector<CgiParam>& list) {
  CgiParam param{node.args[0].text, node.args[1].text};
  if (node.args.size() == 3) {
    if (node.args[2].text != "if_not_empty") {
      return ctx.error(node.args[2], "invalid parameter " + quoted(node.args[2].text));
    }
    param.if_not_empty = true;
  }
  list.push_back(param);
  return {};
}

Result<std::shared_ptr<const CgiParams>> compile_cgi_params(conf::Context& ctx,
                                                            const std::vector<CgiParam>& list,
                                                            std::span<const CgiParam> defaults) {
  std::vector<CgiParam> all = list;
  for (const CgiParam& one : defaults) {
    const bool given = std::any_of(list.begin(), list.end(),
                                   [&](const CgiParam& p) { return equals_nocase(p.name, one.name); });
    if (!given) all.push_back(one);
  }
  auto out = std::make_shared<CgiParams>();
  for (const CgiParam& param : all) {
    if (std::string_view field = param.name; consume(field, "HTTP_") && !field.empty()) {
      out->replaced.push_back(field);
      if (param.value.empty()) continue;
    }
    auto value = http::Template::compile(ctx, param.value);
    if (!value) return ctx.error(value.error().text);
    out->params.push_back({param.name, std::move(*value), param.if_not_empty});
  }
  return out;
}

Status CgiParamSets::merge(conf::Context& ctx, const CgiParamSets& parent, const CacheConf& cache,
                           std::string_view prefix) {
  if (list.empty()) *this = parent;
  if (plain == nullptr) {
    auto compiled = compile_cgi_params(ctx, list, kCgiDefaultParams);
    if (!compiled) return fail(compiled.error());
    plain = std::move(*compiled);
  }
  if (!cache.choice->is_on()) return {};
  if (cache.key->empty() && cache.choice.is_set()) {
    const std::string name(prefix);
    log::warn(ctx.configuration().root().get<conf::ProcessWide>().logger(),
              "no \"{}_cache_key\" for \"{}_cache\"", name, name);
  }
  if (cached != nullptr) return {};
  auto compiled = compile_cgi_params(ctx, list, kCgiCacheParams);
  if (!compiled) return fail(compiled.error());
  cached = std::move(*compiled);
  return {};
}

const CgiParams& CgiParamSets::of(const Request& r) const {
  const CacheInfo* cache = r.find_ctx<CacheInfo>();
  return cache != nullptr && cache->cacheable && cached != nullptr ? *cached : *plain;
}

std::vector<CgiValue> cgi_values(Request& r, const CgiParams& params, bool with_headers) {
  std::vector<CgiValue> out;
  for (const CgiParams::Param& param : params.params) {
    const std::string_view value = param.value.evaluate(r);
    if (!value.empty() || !param.if_not_empty) out.push_back({param.name, value});
  }
  if (!with_headers) return out;
  const std::size_t first_field = out.size();
  for (const http::HeaderField& field : r.in) {
    const auto same = [&](std::string_view name) { return same_cgi_name(field.name, name); };
    if (std::any_of(params.replaced.begin(), params.replaced.end(), same)) continue;
    // Fields of one name are one parameter.
    const auto before = std::find_if(out.begin() + static_cast<std::ptrdiff_t>(first_field), out.end(),
                                     [&](const CgiValue& v) { return same(v.name.substr(5)); });
    if (before != out.end()) {
      const std::string_view between = field.id == HeaderId::cookie ? "; " : ", ";
      before->value = r.arena.concat(before->value, between, field.value);
      continue;
    }
    char* const name = r.arena.bytes(field.name.size() + 5);
    std::copy_n("HTTP_", 5, name);
    std::transform(field.name.begin(), field.name.end(), name + 5, cgi_char);
    out.push_back({{name, field.name.size() + 5}, field.value});
  }
  return out;
}

std::uint64_t cgi_body_length(const Request& r, bool streamed) {
  if (streamed || r.body.state != http::RequestBody::State::read) {
    return r.content_length_in > 0 ? static_cast<std::uint64_t>(r.content_length_in) : 0;
  }
  return r.body.size;
}

// ---- the response's head

CgiHeadReader::State CgiHeadReader::read(Request& r, std::string_view data, Reply& reply) {
  // Fields are read when all are there: nothing has to be kept while the buffer fills.
  std::size_t at = 0;
  for (;;) {
    const std::size_t end = data.find('\n', at);
    if (end == std::string_view::npos) return State::more;
    std::string_view line = data.substr(at, end - at);
    if (line.ends_with('\r')) line.remove_suffix(1);
    at = end + 1;
    if (line.empty()) break;
  }
  size_ = at;
  for (std::size_t from = 0; from < at;) {
    const std::size_t end = data.find('\n', from);
    std::string_view line = data.substr(from, end - from);
    if (line.ends_with('\r')) line.remove_suffix(1);
    from = end + 1;
    if (line.empty()) break;
    if (!read_line(r, line, reply)) return State::invalid;
  }
  return State::complete;
}

bool CgiHeadReader::read_line(Request& r, std::string_view line, Reply& reply) {
  if (line.starts_with("HTTP/")) return true;  // some servers put a status line in front of theirs
  const std::size_t colon = line.find(':');
  const std::string_view name = line.substr(0, colon);
  const auto good = [](char c) {
    return static_cast<unsigned char>(c) > ' ' && static_cast<unsigned char>(c) != 127;
  };
  const bool valid = colon != std::string_view::npos && colon > 0 &&
                     std::all_of(name.begin(), name.end(), good) &&
                     line.find('\0') == std::string_view::npos && line.find('\r') == std::string_view::npos;
  if (!valid) {
    const auto bad = std::find_if_not(line.begin(), line.end(), good);
    if (bad == line.end()) {
      log::error(r.logger, "upstream sent invalid header: \"{}\"", line);
    } else {
      log::error(r.logger, "upstream sent invalid header: \"{}\\x{:02x}...\"",
                 line.substr(0, static_cast<std::size_t>(bad - line.begin())),
                 static_cast<unsigned>(static_cast<unsigned char>(*bad)));
    }
    return false;
  }
  reply.fields.add({name, trim(line.substr(colon + 1)), http::header_id(name)});
  return true;
}

bool complete_cgi_reply(Request& r, Reply& reply) {
  if (reply.status == 0) {
    if (const http::HeaderField* field = reply.fields.find(HeaderId::status)) {
      const auto status = parse_natural<int>(field->value.substr(0, 3));
      const bool separated = field->value.size() == 3 || (field->value.size() > 3 && field->value[3] == ' ');
      if (!status || !separated || *status < 100) {
        log::error(r.logger, "upstream sent invalid status \"{}\"", field->value);
        return false;
      }
      reply.status = *status;
      if (field->value.size() > 3) reply.status_line = field->value;
    } else {
      reply.status = reply.fields.find(HeaderId::location) != nullptr ? 302 : 200;
    }
  }
  if (const http::HeaderField* field = reply.fields.find(HeaderId::content_length)) {
    const auto length = parse_natural<std::int64_t>(field->value);
    if (!length) {
      log::error(r.logger, "upstream sent invalid \"Content-Length\" header: \"{}: {}\"", field->name,
                 field->value);
      return false;
    }
    reply.content_length = *length;
  }
  reply.no_body = r.method == http::Method::head || reply.status == 204 || reply.status == 304;
  reply.until_close = reply.content_length < 0 && !reply.no_body;
  return true;
}

std::size_t CgiBodyLength::take(Request& r, std::size_t size) {
  if (left_ < 0) return size;
  const std::size_t mine = std::min(size, static_cast<std::size_t>(left_));
  left_ -= static_cast<std::int64_t>(mine);
  if (mine < size && !warned_) {
    warned_ = true;
    log::warn(r.logger, "upstream sent more data than specified in \"Content-Length\" header");
  }
  return mine;
}

}  // namespace mp::upstream
