// MemcachedDialect: the text protocol of memcached: one command and its answer. For memcached_pass, which
// only gets, and memc_pass, which knows all commands. One for one request, on the stack of its fiber.
#pragma once

#include <string_view>

#include "upstream/dialect.hpp"

namespace mp::upstream {

struct MemcachedCommand {
  enum class Kind : std::uint8_t {
    value,  // get: VALUE line, bytes, END
    line,   // one line, which is the response's body
    lines,  // stats: lines up to END, which are the body
  };
  Kind kind = Kind::value;
  std::string_view text;  // as it is sent, line end included
  std::string_view key;   // as it stands in `text`
};

class MemcachedDialect : public Dialect {
 public:
  explicit MemcachedDialect(const MemcachedCommand& command) : command_(command) {}

  std::string_view write_request(http::Request&, bool) override { return command_.text; }
  bool may_stream(const http::Request&) const override { return false; }
  bool sends_body() const override { return false; }
  std::string_view scheme() const override { return "memcached://"; }
  std::string_view uri() const override { return {}; }
  void restart() override;
  Head read_head(http::Request& request, std::string_view data, Reply& reply, std::size_t& consumed) override;
  Body decode(http::Request& request, Reply& reply, char* data, std::size_t size,
              std::size_t& payload) override;
  bool keepalive() const override { return keepalive_; }

 protected:
  // What the flags of a value say beyond the protocol. False: they make no sense, which was logged.
  virtual bool take_flags(http::Request& request, std::string_view flags, Reply& reply);

  const MemcachedCommand& command() const { return command_; }

 private:
  Head read_value_line(http::Request& request, std::string_view line, Reply& reply);
  Head read_answer_line(std::string_view line, Reply& reply, std::size_t& consumed);
  Body decode_value(http::Request& request, std::string_view data, std::size_t& payload);
  Body decode_lines(std::string_view data, std::size_t& payload);

  const MemcachedCommand& command_;
  std::size_t left_ = 0;       // of the value or the line
  std::size_t matched_ = 0;    // of what ends the answer
  bool at_line_start_ = true;  // of an answer in lines
  bool keepalive_ = false;
};

}  // namespace mp::upstream
