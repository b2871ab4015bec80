// ProxyDialect: HTTP/1 to an upstream server. One for one proxied request, on the stack of its fiber.
#pragma once

#include <memory>
#include <string_view>

#include "proto/h1/chunked.hpp"
#include "proto/h1/response_parser.hpp"
#include "upstream/dialect.hpp"
#include "upstream/proxy.hpp"

namespace mp::upstream {

class ProxyDialect final : public Dialect {
 public:
  ProxyDialect(http::Request& request, const ProxyConf& conf, ProxyContext& context)
      : r_(request), conf_(conf), context_(context) {}

  std::string_view write_request(http::Request& request, bool streamed) override;
  bool may_stream(const http::Request& request) const override;
  bool sends_body() const override;
  bool frames_body() const override { return context_.chunked; }
  std::size_t open_frame(char* out, std::size_t size) const override {
    return static_cast<std::size_t>(proto::write_chunk_head(out, size) - out);
  }
  std::string_view close_frame(std::size_t) const override { return "\r\n"; }
  std::string_view end_body() const override { return proto::kLastChunk; }
  bool over_http2() const override { return conf_.http_version == ProxyConf::HttpVersion::http2; }
  std::string_view scheme() const override { return context_.url.scheme; }
  std::string_view uri() const override {
    return scheme().starts_with("grpc") ? std::string_view() : uri_;  // as nginx's grpc module tells it
  }
  void restart() override;
  Head read_head(http::Request& request, std::string_view data, Reply& reply, std::size_t& consumed) override;
  Body decode(http::Request& request, Reply& reply, char* data, std::size_t size,
              std::size_t& payload) override;
  bool keepalive() const override { return keepalive_; }
  std::string_view default_cache_key(http::Request& request) override;
  std::string_view head_text() const override { return head_text_; }
  bool read_kept_head(http::Request& request, std::string_view text, Reply& reply) override;
  std::string_view rewrite_redirect(http::Request& request, std::string_view url) override;
  std::string_view rewrite_cookie(http::Request& request, std::string_view cookie) override;

 private:
  std::string_view make_uri();
  std::string_view make_opening(const ProxyHeaders& headers);
  const std::string_view* evaluate_fields(const ProxyHeaders& headers);
  char* put_fields(char* out, const ProxyHeaders& headers, const std::string_view* values) const;
  void fill(Reply& reply, proto::ResponseHead& head);
  Body decode_length(http::Request& request, std::size_t size, std::size_t& payload);
  Body decode_chunks(http::Request& request, Reply& reply, char* data, std::size_t size,
                     std::size_t& payload);

  http::Request& r_;
  const ProxyConf& conf_;
  ProxyContext& context_;
  std::string_view uri_;
  std::string_view head_text_;
  bool head_method_ = false;  // the request as sent is a HEAD
  bool connect_method_ = false;

  // In the request's arena, since the response came: what the stack of a request that waits has touched stays
  // with it.
  struct EndParser {
    void operator()(proto::ResponseHeadParser* parser) const { parser->~ResponseHeadParser(); }
  };
  std::unique_ptr<proto::ResponseHeadParser, EndParser> parser_;
  proto::ChunkedDecoder* chunks_ = nullptr;
  http::BodyFraming framing_;
  std::int64_t left_ = 0;  // of a body with a length
  bool done_ = false;
  bool may_keep_ = false;  // the server does not close
  bool keepalive_ = false;
};

}  // namespace mp::upstream
