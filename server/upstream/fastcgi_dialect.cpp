#include "upstream/fastcgi_dialect.hpp"

#include <algorithm>
#include <cstring>

namespace mp::upstream {
namespace {

using Type = FastcgiRecords::Type;

constexpr char kVersion = 1;
constexpr char kRequestId = 1;
constexpr char kResponder = 1;
constexpr std::size_t kMostParams = 65535;
constexpr char kZeros[8] = {};

// Pads to eight bytes, as the specification advises.
std::size_t padding_of(std::size_t size) {
  return (8 - size % 8) % 8;
}

char* put_header(char* out, Type type, std::size_t size) {
  *out++ = kVersion;
  *out++ = static_cast<char>(type);
  *out++ = 0;
  *out++ = kRequestId;
  *out++ = static_cast<char>(size >> 8);
  *out++ = static_cast<char>(size);
  *out++ = static_cast<char>(padding_of(size));
  *out++ = 0;
  return out;
}

std::size_t length_size(std::size_t length) {
  return length > 127 ? 4 : 1;
}

char* put_length(char* out, std::size_t length) {
  if (length > 127) {
    *out++ = static_cast<char>(length >> 24 | 0x80);
    *out++ = static_cast<char>(length >> 16);
    *out++ = static_cast<char>(length >> 8);
  }
  *out++ = static_cast<char>(length);
  return out;
}

std::size_t byte_at(const char* p) {
  return static_cast<unsigned char>(*p);
}

}  // namespace

// ---- records

bool FastcgiRecords::read_header(std::string_view& data) {
  const std::size_t n = std::min(kHeader - header_size_, data.size());
  std::memcpy(header_ + header_size_, data.data(), n);
  header_size_ += n;
  data.remove_prefix(n);
  if (header_size_ < kHeader) return false;
  header_size_ = 0;
  if (header_[0] != kVersion) {
    error_ = "upstream sent unsupported FastCGI protocol version: " + std::to_string(byte_at(header_));
    return false;
  }
  type_ = static_cast<Type>(byte_at(header_ + 1));
  if (type_ != Type::stdout_ && type_ != Type::stderr_ && type_ != Type::end) {
    error_ = "upstream sent invalid FastCGI record type: " + std::to_string(byte_at(header_ + 1));
    return false;
  }
  if (header_[2] != 0) {
    error_ = "upstream sent unexpected FastCGI request id high byte: " + std::to_string(byte_at(header_ + 2));
    return false;
  }
  if (header_[3] != kRequestId) {
    error_ = "upstream sent unexpected FastCGI request id low byte: " + std::to_string(byte_at(header_ + 3));
    return false;
  }
  content_ = byte_at(header_ + 4) << 8 | byte_at(header_ + 5);
  padding_ = byte_at(header_ + 6);
  return true;
}

bool FastcgiRecords::next(std::string_view& data, Part& part) {
  if (content_ == 0) {
    const std::size_t skipped = std::min(padding_, data.size());
    data.remove_prefix(skipped);
    padding_ -= skipped;
    if (padding_ > 0 || data.empty() || !read_header(data)) return false;
    if (content_ == 0) {
      part = {type_, {}, true, true};
      return true;
    }
  }
  if (data.empty()) return false;
  const std::size_t n = std::min(content_, data.size());
  content_ -= n;
  part = {type_, data.substr(0, n), content_ == 0, false};
  data.remove_prefix(n);
  return true;
}

// ---- the request

std::string_view FastcgiDialect::write_request(http::Request& r, bool) {
  const auto values = cgi_values(r, params_.of(r), conf_.pass_request_headers);
  std::size_t size = 0;
  for (const CgiValue& v : values) {
    size += length_size(v.name.size()) + length_size(v.value.size()) + v.name.size() + v.value.size();
  }
  if (size > kMostParams) {
    log::alert(r.logger, "fastcgi request record is too big: {}", size);
    return {};
  }
  constexpr std::size_t kHeader = FastcgiRecords::kHeader;
  char* const start = r.arena.bytes(4 * kHeader + size + 8);
  char* p = put_header(start, Type::begin, 8);
  const char begin[8] = {0, kResponder, keep_ ? char{1} : char{0}};
  p = std::copy_n(begin, sizeof begin, p);
  p = put_header(p, Type::params, size);
  for (const CgiValue& v : values) {
    p = put_length(p, v.name.size());
    p = put_length(p, v.value.size());
    p += v.name.copy(p, v.name.size());
    p += v.value.copy(p, v.value.size());
  }
  p = std::copy_n(kZeros, padding_of(size), p);
  if (size > 0) p = put_header(p, Type::params, 0);
  return {start, static_cast<std::size_t>(p - start)};
}

std::size_t FastcgiDialect::open_frame(char* out, std::size_t size) const {
  return static_cast<std::size_t>(put_header(out, Type::stdin_, size) - out);
}
std::string_view FastcgiDialect::close_frame(std::size_t size) const {
  return {kZeros, padding_of(size)};
}
std::string_view FastcgiDialect::end_body() const {
  static constexpr char kEmpty[] = {kVersion, static_cast<char>(Type::stdin_), 0, kRequestId, 0, 0, 0, 0};
  return {kEmpty, sizeof kEmpty};
}

// ---- the response

void FastcgiDialect::restart() {
  records_.restart();
  reader_.restart();
  length_ = {};
  head_ = {};
  parsed_ = 0;
  ended_ = false;
}

// False: what it says makes the response an error.
bool FastcgiDialect::take_error_text(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == '\0' ||
                           text.back() == '.' || text.back() == ' ')) {
    text.remove_suffix(1);
  }
  if (text.empty()) return true;
  log::error(r_.logger, "FastCGI sent in stderr: \"{}\"", text);
  return std::none_of(catch_.begin(), catch_.end(),
                      [text](std::string_view one) { return text.find(one) != std::string_view::npos; });
}

Dialect::Head FastcgiDialect::read_head(http::Request& r, std::string_view data, Reply& reply,
                                        std::size_t& consumed) {
  std::string_view rest = data.substr(parsed_);
  FastcgiRecords::Part part;
  while (records_.next(rest, part)) {
    parsed_ = data.size() - rest.size();
    switch (part.type) {
      case Type::stderr_:
        if (!take_error_text(part.bytes)) return Head::invalid;
        continue;
      case Type::end:
        log::error(r.logger, "upstream prematurely closed FastCGI stdout");
        return Head::invalid;
      default:
        break;
    }
    if (part.empty) {
      log::error(r.logger, "upstream prematurely closed FastCGI stdout");
      return Head::invalid;
    }
    if (head_.size() + part.bytes.size() > 2 * conf_.buffer_size) {
      log::error(r.logger, "upstream sent too big header");
      return Head::invalid;
    }
    if (head_room_ < head_.size() + part.bytes.size()) {
      head_room_ = std::max(2 * head_room_, head_.size() + part.bytes.size());
      char* const room = r.arena.bytes(head_room_);
      head_ = {room, head_.copy(room, head_.size())};
    }
    char* const end = const_cast<char*>(head_.data()) + head_.size();
    head_ = {head_.data(), head_.size() + part.bytes.copy(end, part.bytes.size())};
    switch (reader_.read(r, head_, reply)) {
      case CgiHeadReader::State::more:
        continue;
      case CgiHeadReader::State::invalid:
        return Head::invalid;
      case CgiHeadReader::State::complete:
        return head_complete(reply, head_.size() - reader_.size(), consumed);
    }
  }
  parsed_ = data.size() - rest.size();
  if (records_.error().empty()) return Head::need_more;
  log::error(r.logger, "{}", records_.error());
  return Head::invalid;
}

// `behind` bytes of the record that was read last are the beginning of the body.
Dialect::Head FastcgiDialect::head_complete(Reply& reply, std::size_t behind, std::size_t& consumed) {
  if (!complete_cgi_reply(r_, reply)) return Head::invalid;
  length_.start(reply);
  records_.give_back(behind);
  consumed = parsed_ - behind;
  return Head::complete;
}

bool FastcgiDialect::read_kept_head(http::Request& r, std::string_view text, Reply& reply) {
  restart();
  return reader_.read(r, text, reply) == CgiHeadReader::State::complete && complete_cgi_reply(r, reply);
}

Dialect::Body FastcgiDialect::decode(http::Request& r, Reply&, char* data, std::size_t size,
                                     std::size_t& payload) {
  payload = 0;
  std::string_view rest{data, size};
  FastcgiRecords::Part part;
  while (records_.next(rest, part)) {
    switch (part.type) {
      case Type::stderr_:
        take_error_text(part.bytes);
        break;
      case Type::end:
        if (!part.last) break;
        ended_ = true;
        if (length_.left() > 0) {
          log::error(r.logger, "upstream prematurely closed FastCGI stdout");
          return Body::error;
        }
        return Body::done;
      default: {
        const std::size_t mine = length_.take(r, part.bytes.size());
        std::memmove(data + payload, part.bytes.data(), mine);
        payload += mine;
      }
    }
  }
  if (records_.error().empty()) return Body::more;
  log::error(r.logger, "{}", records_.error());
  return Body::error;
}

// A server that was told to keep the connection says itself where the response ends.
bool FastcgiDialect::complete_at_end(const Reply& reply) {
  return !keep_ && (reply.no_body || length_.left() <= 0);
}

}  // namespace mp::upstream
