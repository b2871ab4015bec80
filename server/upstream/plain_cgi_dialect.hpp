// PlainCgiDialect: the responses of SCGI and uwsgi servers: a CGI head, or a whole HTTP one, and a body that
// ends with the connection or as Content-Length says. How a request is written is for the derived classes.
#pragma once

#include "upstream/cgi.hpp"
#include "upstream/dialect.hpp"

namespace mp::upstream {

class PlainCgiDialect : public Dialect {
 public:
  explicit PlainCgiDialect(const TransferConf& conf) : conf_(conf) {}

  bool may_stream(const http::Request& request) const override {
    return sends_body() && !request.chunked_in;  // the length goes first
  }
  bool sends_body() const override { return conf_.pass_request_body; }
  std::string_view uri() const override { return {}; }
  void restart() override;
  Head read_head(http::Request& request, std::string_view data, Reply& reply, std::size_t& consumed) override;
  Body decode(http::Request& request, Reply& reply, char* data, std::size_t size,
              std::size_t& payload) override;
  bool keepalive() const override { return false; }
  std::string_view head_text() const override { return head_text_; }
  bool read_kept_head(http::Request& request, std::string_view text, Reply& reply) override {
    restart();
    std::size_t size = 0;
    return read_head(request, text, reply, size) == Head::complete;
  }

 protected:
  const TransferConf& conf_;

 private:
  bool read_status_line(std::string_view line, Reply& reply);
  std::string_view head_text_;
  CgiHeadReader reader_;
  CgiBodyLength length_;
};

}  // namespace mp::upstream
