// FastcgiDialect: FastCGI 1.0 to an upstream server. One for one request, on the stack of its fiber.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "upstream/cgi.hpp"
#include "upstream/dialect.hpp"

namespace mp::upstream {

// The records of a response, in bytes that come in any pieces.
class FastcgiRecords {
 public:
  enum class Type : std::uint8_t { begin = 1, end = 3, params = 4, stdin_ = 5, stdout_ = 6, stderr_ = 7 };
  static constexpr std::size_t kHeader = 8;

  struct Part {
    Type type = Type::stdout_;
    std::string_view bytes;  // content, as far as it has come
    bool last = false;       // the record's content ends with these bytes
    bool empty = false;      // the record has none
  };
  // Takes bytes from the front of `data`. False: nothing more can be said yet, or error() has the reason.
  bool next(std::string_view& data, Part& part);
  // The last `bytes` of the part that next() gave will come again.
  void give_back(std::size_t bytes) { content_ += bytes; }
  const std::string& error() const { return error_; }
  // Whether everything so far was whole records.
  bool between() const { return header_size_ == 0 && content_ == 0 && padding_ == 0; }
  void restart() { *this = {}; }

 private:
  bool read_header(std::string_view& data);

  char header_[kHeader];
  std::size_t header_size_ = 0;
  Type type_ = Type::stdout_;
  std::size_t content_ = 0;  // left of the present record
  std::size_t padding_ = 0;
  std::string error_;
};

class FastcgiDialect final : public Dialect {
 public:
  FastcgiDialect(http::Request& request, const TransferConf& conf, const CgiParamSets& params,
                 bool keep_connection, const conf::StringList& catch_texts)
      : r_(request), conf_(conf), params_(params), keep_(keep_connection), catch_(catch_texts) {}

  std::string_view write_request(http::Request& request, bool streamed) override;
  bool may_stream(const http::Request&) const override { return sends_body(); }
  bool sends_body() const override { return conf_.pass_request_body; }
  bool frames_body() const override { return true; }
  std::size_t open_frame(char* out, std::size_t size) const override;
  std::string_view close_frame(std::size_t size) const override;
  std::string_view end_body() const override;
  std::string_view scheme() const override { return "fastcgi://"; }
  std::string_view uri() const override { return {}; }
  void restart() override;
  Head read_head(http::Request& request, std::string_view data, Reply& reply, std::size_t& consumed) override;
  std::size_t forget() override { return std::exchange(parsed_, 0); }
  Body decode(http::Request& request, Reply& reply, char* data, std::size_t size,
              std::size_t& payload) override;
  std::string_view head_text() const override { return head_.substr(0, reader_.size()); }
  bool read_kept_head(http::Request& request, std::string_view text, Reply& reply) override;
  bool complete_at_end(const Reply& reply) override;
  bool keepalive() const override { return ended_ && keep_ && records_.between(); }

 private:
  Head head_complete(Reply& reply, std::size_t behind, std::size_t& consumed);
  bool take_error_text(std::string_view text);

  http::Request& r_;
  const TransferConf& conf_;
  const CgiParamSets& params_;
  bool keep_;
  const conf::StringList& catch_;  // in stderr, these make the response invalid

  FastcgiRecords records_;
  CgiHeadReader reader_;
  CgiBodyLength length_;
  std::string_view head_;  // what STDOUT has said, in the arena; its room grows with the response's head
  std::size_t head_room_ = 0;
  std::size_t parsed_ = 0;  // of the bytes that have come
  bool ended_ = false;
};

}  // namespace mp::upstream
