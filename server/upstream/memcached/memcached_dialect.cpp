#include "upstream/memcached/memcached_dialect.hpp"

#include <algorithm>

#include "base/numbers.hpp"
#include "base/strings.hpp"

namespace mp::upstream {
namespace {

using http::Request;

constexpr std::string_view kValueEnd = "\r\nEND\r\n";
constexpr std::string_view kLinesEnd = "END\r\n";

// The status that an answer in one line stands for.
int status_of(std::string_view line) {
  if (line == "STORED") return 201;
  if (line == "NOT_FOUND") return 404;
  if (line == "NOT_STORED" || line == "EXISTS" || line == "DELETED" || line == "TOUCHED" || line == "OK") {
    return 200;
  }
  if (line.starts_with("VERSION ")) return 200;
  const std::string_view number = line.substr(0, line.find(' '));  // incr and decr pad with blanks
  return parse_unsigned<std::uint64_t>(number) ? 201 : 502;
}

}  // namespace

void MemcachedDialect::restart() {
  left_ = matched_ = 0;
  at_line_start_ = true;
  keepalive_ = false;
}

bool MemcachedDialect::take_flags(Request&, std::string_view, Reply&) {
  return true;
}

Dialect::Head MemcachedDialect::read_head(Request& r, std::string_view data, Reply& reply,
                                          std::size_t& consumed) {
  const std::size_t end = data.find('\n');
  if (end == std::string_view::npos) return Head::need_more;
  const std::string_view line = data.substr(0, end);
  if (!line.ends_with('\r')) {
    log::error(r.logger, "memcached sent invalid response: \"{}\"", line);
    return Head::invalid;
  }
  const std::string_view text = line.substr(0, line.size() - 1);
  if (command_.kind == MemcachedCommand::Kind::value) {
    consumed = end + 1;
    return read_value_line(r, text, reply);
  }
  return read_answer_line(text, reply, consumed);
}

// "VALUE key flags length", or "END" when there is no such key.
Dialect::Head MemcachedDialect::read_value_line(Request& r, std::string_view line, Reply& reply) {
  if (line == "END") {
    log::info(r.logger, "key: \"{}\" was not found by memcached", command_.key);
    reply.status = 404;
    reply.content_length = 0;
    reply.no_body = true;
    keepalive_ = true;
    return Head::complete;
  }
  const auto invalid = [&](std::string_view what) {
    log::error(r.logger, "memcached sent invalid {} in response \"{}\" for key \"{}\"", what, line,
               command_.key);
    return Head::invalid;
  };
  const auto misshapen = [&] {
    log::error(r.logger, "memcached sent invalid response: \"{}\"", line);
    return Head::invalid;
  };
  std::string_view rest = line;
  if (!consume(rest, "VALUE ")) return misshapen();
  if (!consume(rest, command_.key)) return invalid("key");
  if (!consume(rest, " ")) return misshapen();
  const auto parts = split_once(rest, ' ');
  if (!parts) return misshapen();
  if (!take_flags(r, parts->first, reply)) return invalid("flags");
  const auto length = parse_natural<std::int64_t>(parts->second);
  if (!length) return invalid("length");
  reply.status = 200;
  reply.content_length = *length;
  left_ = static_cast<std::size_t>(*length);
  return Head::complete;
}

// The line is the body, unless it says that there is no such key.
Dialect::Head MemcachedDialect::read_answer_line(std::string_view line, Reply& reply, std::size_t& consumed) {
  const bool error =
      line == "ERROR" || line.starts_with("CLIENT_ERROR ") || line.starts_with("SERVER_ERROR ");
  if (command_.kind == MemcachedCommand::Kind::lines && !error) {
    reply.status = 200;
    return Head::complete;
  }
  reply.status = status_of(line);
  if (reply.status == 404) {
    consumed = line.size() + 2;
    reply.content_length = 0;
    reply.no_body = keepalive_ = true;
    return Head::complete;
  }
  left_ = line.size() + 2;
  reply.content_length = static_cast<std::int64_t>(left_);
  return Head::complete;
}

Dialect::Body MemcachedDialect::decode(Request& r, Reply& reply, char* data, std::size_t size,
                                       std::size_t& payload) {
  const std::string_view text{data, size};
  payload = 0;
  if (reply.no_body) return Body::done;
  if (command_.kind == MemcachedCommand::Kind::value) return decode_value(r, text, payload);
  if (reply.content_length < 0) return decode_lines(text, payload);
  payload = std::min(size, left_);
  left_ -= payload;
  keepalive_ = left_ == 0 && payload == size && reply.status != 502;
  return left_ == 0 ? Body::done : Body::more;
}

Dialect::Body MemcachedDialect::decode_value(Request& r, std::string_view data, std::size_t& payload) {
  payload = std::min(data.size(), left_);
  left_ -= payload;
  if (left_ > 0) return Body::more;
  for (const char c : data.substr(payload)) {
    if (matched_ == kValueEnd.size() || c != kValueEnd[matched_]) {
      log::error(r.logger, "memcached sent invalid trailer");
      return Body::done;
    }
    ++matched_;
  }
  keepalive_ = matched_ == kValueEnd.size();
  return keepalive_ ? Body::done : Body::more;
}

// Everything is payload; the line "END" is the last one.
Dialect::Body MemcachedDialect::decode_lines(std::string_view data, std::size_t& payload) {
  for (std::size_t i = 0; i < data.size(); ++i) {
    if (!at_line_start_ && matched_ == 0) {
      at_line_start_ = data[i] == '\n';
      continue;
    }
    if (data[i] == kLinesEnd[matched_]) {
      at_line_start_ = false;
      if (++matched_ < kLinesEnd.size()) continue;
      payload = i + 1;
      keepalive_ = payload == data.size();
      return Body::done;
    }
    matched_ = 0;
    at_line_start_ = data[i] == '\n';
  }
  payload = data.size();
  return Body::more;
}

}  // namespace mp::upstream
