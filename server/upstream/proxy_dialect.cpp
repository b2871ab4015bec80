#include "upstream/proxy_dialect.hpp"

#include <algorithm>

#include "base/ascii.hpp"
#include "base/escape.hpp"
#include "base/numbers.hpp"
#include "base/put.hpp"
#include "upstream/cache/use.hpp"

namespace mp::upstream {
namespace {

using http::HeaderField;
using http::HeaderId;
using http::Request;

char* put_line(char* out, const HeaderField& field) {
  return put(put(put(put(out, field.name), ": "), field.value), "\r\n");
}

// Of a body that was read before, or is gone.
std::int64_t stored_body_length(const Request& r) {
  switch (r.body.state) {
    case http::RequestBody::State::discarded:
      return r.content_length_in > 0 ? 0 : r.content_length_in;
    case http::RequestBody::State::read:
      if (r.chunked_in || r.body.size > 0) return static_cast<std::int64_t>(r.body.size);
      return r.content_length_in;
    default:
      return r.content_length_in;
  }
}

}  // namespace

// ---- the request

bool ProxyDialect::may_stream(const Request& r) const {
  return sends_body() && (!r.chunked_in || conf_.http_version != ProxyConf::HttpVersion::http10);
}

bool ProxyDialect::sends_body() const {
  return !conf_.body.is_set() && conf_.transfer.pass_request_body;
}

// What stands on the request line: the URI the variables came to, the client's own as it was sent, or the URI
// of proxy_pass in place of the location's name.
std::string_view ProxyDialect::make_uri() {
  const std::string_view fixed = context_.url.uri;
  if (conf_.target.url && !fixed.empty()) return fixed;
  if (fixed.empty() && r_.valid_raw_uri) return r_.raw_uri;
  const bool replace = !fixed.empty() && r_.valid_location;
  std::string_view rest = r_.uri;
  if (replace) rest.remove_prefix(std::min(conf_.target.location.size(), rest.size()));
  if (r_.quoted_uri || r_.internal) rest = escape_uri(r_.arena, rest, UriEscape::uri);
  const std::string_view front = r_.valid_location ? fixed : std::string_view();
  if (r_.args.empty() && rest.empty()) return front;
  if (r_.args.empty()) return front.empty() ? rest : r_.arena.concat(front, rest);
  return r_.arena.concat(front, rest, "?", r_.args);
}

std::string_view ProxyDialect::write_request(Request& r, bool streamed) {
  const auto* cache = conf_.transfer.cache.choice->is_on() ? r.find_ctx<CacheInfo>() : nullptr;
  const bool cacheable = cache != nullptr && cache->cacheable;
  const ProxyHeaders& headers = cacheable ? *conf_.cache_headers : *conf_.headers;
  std::string_view method = conf_.method.is_set() ? conf_.method->evaluate(r) : r.method_text;
  // The response is to serve GETs as well.
  if (cache != nullptr && cache->status != CacheStatus::none && r.method == http::Method::head &&
      conf_.transfer.cache.convert_head) {
    method = "GET";
  }
  head_method_ = equals_nocase(method, "HEAD");
  connect_method_ = method == "CONNECT";
  uri_ = make_uri();
  if (uri_.empty()) {
    log::error(r.logger, "zero length URI to proxy");
    return {};
  }
  const std::string_view body = conf_.body.is_set() ? conf_.body->evaluate(r) : std::string_view();
  context_.chunked = streamed && r.chunked_in;
  if (conf_.body.is_set()) {
    context_.body_length = static_cast<std::int64_t>(body.size());
  } else if (context_.chunked) {
    context_.body_length = -1;
  } else {
    context_.body_length = streamed ? r.content_length_in : stored_body_length(r);
  }
  std::string_view opening = conf_.opening;
  if (opening.empty()) opening = make_opening(headers);
  const bool pass = conf_.transfer.pass_request_headers;
  const std::string_view* values = evaluate_fields(headers);
  std::size_t size = method.size() + 1 + uri_.size() + opening.size() + headers.room + 2 + body.size();
  for (std::size_t i = 0; i < headers.values; ++i) size += values[i].size();
  if (pass) {
    for (const HeaderField& field : r.in) size += field.name.size() + field.value.size() + 4;
  }
  char* const start = r.arena.bytes(size);
  char* p = put(start, method);
  *p++ = ' ';
  p = put_fields(put(put(p, uri_), opening), headers, values);
  if (pass) {
    for (const HeaderField& field : r.in) {
      if (!headers.replaced.has(field)) p = put_line(p, field);
    }
  }
  p = put(p, "\r\n");
  if (!body.empty()) p = put(p, body);
  return {start, static_cast<std::size_t>(p - start)};
}

// The end of the request line, and Host.
std::string_view ProxyDialect::make_opening(const ProxyHeaders& headers) {
  const bool http11 = conf_.http_version != ProxyConf::HttpVersion::http10;
  const std::string_view version = http11 ? " HTTP/1.1\r\n" : " HTTP/1.0\r\n";
  std::string_view host = headers.host ? headers.host->evaluate(r_) : context_.url.host_header;
  if (host.empty() && http11) host = context_.url.host_header;
  if (host.empty()) return version;
  // With HTTP/2, "Host" becomes :authority; one that was set is a field, as in nginx, which `host` says.
  const bool as_field = over_http2() && headers.host.has_value();
  return r_.arena.concat(version, as_field ? "host: " : "Host: ", host, "\r\n");
}

// The values that depend on the request, in the order of their fields: their sizes are not known before.
const std::string_view* ProxyDialect::evaluate_fields(const ProxyHeaders& headers) {
  if (headers.values == 0) return nullptr;
  auto* const values = r_.arena.array<std::string_view>(headers.values);
  std::string_view* value = values;
  for (const ProxyHeaders::Field& field : headers.fields) {
    if (field.kind == ProxyHeaders::Field::Kind::value) *value++ = field.value.evaluate(r_);
  }
  return values;
}

char* ProxyDialect::put_fields(char* p, const ProxyHeaders& headers, const std::string_view* values) const {
  using Kind = ProxyHeaders::Field::Kind;
  for (const ProxyHeaders::Field& field : headers.fields) {
    switch (field.kind) {
      case Kind::lines:
        p = put(p, field.text);
        break;
      case Kind::value:
        if (!values->empty()) p = put(put(put(p, field.text), *values), "\r\n");
        ++values;
        break;
      case Kind::body_length:
        if (context_.body_length >= 0) p = put(print(put(p, field.text), context_.body_length), "\r\n");
        break;
      case Kind::chunked:
        if (context_.chunked) p = put(put(p, field.text), "chunked\r\n");
        break;
    }
  }
  return p;
}

// ---- the response's head

void ProxyDialect::restart() {
  using Parser = proto::ResponseHeadParser;
  parser_.reset(new (r_.arena.allocate(sizeof(Parser), alignof(Parser))) Parser(r_.arena));
  if (over_http2()) parser_->allow_both_framings();
  chunks_ = nullptr;
  framing_ = {};
  left_ = 0;
  done_ = may_keep_ = keepalive_ = false;
}

Dialect::Head ProxyDialect::read_head(Request& r, std::string_view data, Reply& reply,
                                      std::size_t& consumed) {
  switch (parser_->feed(data)) {
    case proto::Parse::need_more:
      return Head::need_more;
    case proto::Parse::error:
      log::error(r.logger, "{}", parser_->error().text);
      return Head::invalid;
    case proto::Parse::complete:
      break;
  }
  consumed = parser_->consumed();
  proto::ResponseHead& head = parser_->head();
  if (head.version == 9) log::error(r.logger, "upstream sent no valid HTTP/1.0 header");
  if (head.interim()) {
    reply.status = head.status;
    reply.fields.adopt(head.fields.all().data(), head.fields.size(), head.fields.capacity());
    parser_->restart();
    return Head::interim;
  }
  head_text_ = data.substr(0, consumed);
  fill(reply, head);
  return Head::complete;
}

void ProxyDialect::fill(Reply& reply, proto::ResponseHead& head) {
  reply.status = head.status;
  reply.status_line = head.version == 9 ? std::string_view() : head.status_line;
  reply.fields.adopt(head.fields.all().data(), head.fields.size(), head.fields.capacity());
  // Where these two are passed on, none are made up for a server that sends none.
  if (head.fields.find(HeaderId::server) == nullptr) reply.fields.add(HeaderId::server, "");
  if (head.fields.find(HeaderId::date) == nullptr) reply.fields.add(HeaderId::date, "");
  framing_ = proto::response_framing(head, head_method_, connect_method_);
  reply.no_body = framing_.kind == http::BodyKind::none;
  reply.until_close = framing_.kind == http::BodyKind::until_close;
  reply.content_length = head.chunked && !over_http2() ? -1 : head.content_length;
  may_keep_ = !head.connection_close;
  switch (framing_.kind) {
    case http::BodyKind::chunked:
      chunks_ = r_.arena.make<proto::ChunkedDecoder>();
      break;
    case http::BodyKind::length:
      left_ = framing_.length;
      break;
    default:
      break;
  }
  if (head.status == 101) {
    may_keep_ = false;
    reply.upgrade = r_.in.find(HeaderId::upgrade) != nullptr;
    if (!reply.upgrade) {  // nobody asked for another protocol: nothing of it goes on
      framing_ = {};
      reply.no_body = true;
      reply.until_close = false;
    }
  }
  // Known to be over with its head: the connection is free even when nobody asks for the body.
  if (reply.no_body || (framing_.kind == http::BodyKind::length && left_ == 0)) keepalive_ = may_keep_;
}

std::string_view ProxyDialect::default_cache_key(Request& r) {
  return r.arena.concat(context_.url.scheme, context_.url.host_header, make_uri());
}

bool ProxyDialect::read_kept_head(Request& r, std::string_view text, Reply& reply) {
  restart();
  if (parser_->feed(text) != proto::Parse::complete) return false;
  head_method_ = r.method == http::Method::head;
  fill(reply, parser_->head());
  return true;
}

// ---- and its body

Dialect::Body ProxyDialect::decode(Request& r, Reply& reply, char* data, std::size_t size,
                                   std::size_t& payload) {
  payload = 0;
  switch (framing_.kind) {
    case http::BodyKind::none:
    case http::BodyKind::length:
      return decode_length(r, size, payload);
    case http::BodyKind::chunked:
      return decode_chunks(r, reply, data, size, payload);
    case http::BodyKind::until_close:
      break;
  }
  payload = size;
  return Body::more;
}

Dialect::Body ProxyDialect::decode_length(Request& r, std::size_t size, std::size_t& payload) {
  payload = std::min(size, static_cast<std::size_t>(left_));
  left_ -= static_cast<std::int64_t>(payload);
  if (left_ > 0) return Body::more;
  keepalive_ = may_keep_ && payload == size;
  if (payload < size) {
    log::warn(r.logger, "upstream sent more data than specified in \"Content-Length\" header");
  }
  return Body::done;
}

Dialect::Body ProxyDialect::decode_chunks(Request& r, Reply& reply, char* data, std::size_t size,
                                          std::size_t& payload) {
  if (size == 0) return Body::more;
  switch (chunks_->decode_in_place(data, size, &payload)) {
    case proto::ChunkedDecoder::Event::error:
      log::error(r.logger, "upstream sent invalid chunked response");
      return Body::error;
    case proto::ChunkedDecoder::Event::done:
      break;
    default:
      return Body::more;
  }
  keepalive_ = may_keep_ && chunks_->consumed() == size;
  if (chunks_->consumed() < size) log::warn(r.logger, "upstream sent data after final chunk");
  if (chunks_->has_trailers() && conf_.transfer.pass_trailers) {
    http::FieldList fields(r.arena);
    chunks_->trailers(r.arena, fields);
    reply.trailers.adopt(fields.all().data(), fields.size(), fields.capacity());
  }
  return Body::done;
}

// ---- rewriting

std::string_view ProxyDialect::rewrite_redirect(Request& r, std::string_view url) {
  if (conf_.redirects == nullptr) return {};
  for (const ProxyRewrite& rule : *conf_.redirects) {
    if (const std::string_view changed = rule.apply(r, url); changed.data() != nullptr) return changed;
  }
  return {};
}

std::string_view ProxyDialect::rewrite_cookie(Request& r, std::string_view cookie) {
  if (conf_.cookie_domains.get() == nullptr && conf_.cookie_paths.get() == nullptr &&
      conf_.cookie_flags.get() == nullptr) {
    return {};
  }
  return rewrite_proxy_cookie(r, conf_, cookie);
}

}  // namespace mp::upstream
