#include "net/dns_message.hpp"

#include <cstring>
#include <string>

#include <fmt/core.h>

#include "base/ascii.hpp"
#include "base/numbers.hpp"

namespace mp::net::dns {
namespace {

constexpr std::size_t kHeaderSize = 12;
constexpr std::size_t kMaxLabel = 63;
constexpr unsigned kInternet = 1;
// Response, standard query, reserved bits zero; the other flags do not matter.
constexpr unsigned kFlagsChecked = 0xf870;
constexpr unsigned kFlagsOfResponse = 0x8000;
constexpr unsigned kTruncated = 0x0200;

char* put16(char* out, unsigned value) {
  *out++ = static_cast<char>(value >> 8);
  *out++ = static_cast<char>(value);
  return out;
}

// The labels of `name` with their lengths; nullptr when it is no domain name.
char* put_name(char* out, std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty() || name.size() > Name::kMax) return nullptr;
  while (true) {
    const std::string_view label = name.substr(0, name.find('.'));
    if (label.empty() || label.size() > kMaxLabel) return nullptr;
    *out++ = static_cast<char>(label.size());
    std::memcpy(out, label.data(), label.size());
    out += label.size();
    if (label.size() == name.size()) break;
    name.remove_prefix(label.size() + 1);
  }
  *out++ = '\0';
  return out;
}

}  // namespace

// Reads from a message; the first failure sticks as `error()`.
class Reader {
 public:
  Reader(std::string_view message, std::size_t at) : message_(message), at_(at) {}

  std::size_t at() const { return at_; }
  const char* error() const { return error_; }
  bool ok() const { return error_ == nullptr; }
  void fail_with(const char* text) {
    if (ok()) error_ = text;
  }

  unsigned u8() {
    if (at_ >= message_.size()) fail_with("short DNS response");
    return ok() ? static_cast<unsigned char>(message_[at_++]) : 0;
  }
  unsigned u16() {
    const unsigned high = u8();
    return high << 8 | u8();
  }
  std::uint32_t u32() {
    const std::uint32_t high = u16();
    return high << 16 | u16();
  }
  std::string_view bytes(std::size_t size) {
    if (message_.size() - at_ < size) fail_with("short DNS response");
    if (!ok()) return {};
    at_ += size;
    return message_.substr(at_ - size, size);
  }

  // Follows compression pointers, each of which must lead to an earlier place than the one before, so
  // that there is no loop; goes on behind the name's first pointer.
  void name(Name& name) {
    name.size_ = 0;
    std::size_t limit = at_;
    std::size_t resume = 0;
    while (ok()) {
      const std::size_t label_at = at_;
      const unsigned size = u8();
      if (size == 0) break;
      if ((size & 0xc0) == 0xc0) {
        const std::size_t target = (size & 0x3f) << 8 | u8();
        if (resume == 0) resume = at_;
        if (target >= limit || target >= label_at) fail_with("compression pointers loop in DNS response");
        if (target < kHeaderSize) fail_with("name is out of DNS response");
        limit = at_ = target;
      } else if ((size & 0xc0) != 0) {
        fail_with("invalid label type in DNS response");
      } else {
        label(name, bytes(size));
      }
    }
    if (ok() && resume != 0) at_ = resume;
  }

 private:
  void label(Name& name, std::string_view text) {
    const std::size_t dot = name.size_ == 0 ? 0 : 1;
    if (name.size_ + dot + text.size() > Name::kMax || text.find('.') != std::string_view::npos ||
        text.find('\0') != std::string_view::npos) {
      fail_with("invalid name in DNS response");
      return;
    }
    char* out = name.text_ + name.size_;
    if (dot != 0) *out++ = '.';
    lower_into(out, text);
    name.size_ = static_cast<std::uint8_t>(name.size_ + dot + text.size());
  }

  std::string_view message_;
  std::size_t at_;
  const char* error_ = nullptr;
};

namespace {

void read_address(Reader& reader, Record& record, std::size_t size) {
  const bool v4 = record.type == Type::a;
  if (size != (v4 ? 4 : 16)) {
    reader.fail_with(v4 ? "invalid A record in DNS response" : "invalid AAAA record in DNS response");
    return;
  }
  if (v4) {
    record.address = Address::v4(reader.u32());
    return;
  }
  const std::string_view bytes = reader.bytes(size);
  if (!reader.ok()) return;
  in6_addr address;
  std::memcpy(&address, bytes.data(), sizeof address);
  record.address = Address::v6(address);
}

void read_data(Reader& reader, Record& record, std::size_t size) {
  switch (record.type) {
    case Type::a:
    case Type::aaaa:
      read_address(reader, record, size);
      break;
    case Type::srv:
      record.priority = static_cast<std::uint16_t>(reader.u16());
      record.weight = static_cast<std::uint16_t>(reader.u16());
      record.port = static_cast<std::uint16_t>(reader.u16());
      reader.name(record.target);
      break;
    case Type::cname:
    case Type::ptr:
      reader.name(record.target);
      break;
    default:
      reader.bytes(size);
      break;
  }
}

}  // namespace

std::string_view code_text(unsigned code) {
  switch (code) {
    case kFormatError:
      return "Format error";
    case 2:
      return "Server failure";
    case kHostNotFound:
      return "Host not found";
    case 4:
      return "Unimplemented";
    case kRefused:
      return "Operation refused";
    case kTimedOut:
      return "Operation timed out";
    default:
      return "Unknown error";
  }
}

std::optional<std::size_t> write_query(std::span<char, kMaxQuery> out, std::uint16_t id,
                                       std::string_view name, Type type) {
  char* p = put16(out.data(), id);
  p = put16(p, 0x0100);                 // recursion desired
  p = put16(p, 1);                      // one question
  p = put16(put16(put16(p, 0), 0), 0);  // and nothing else
  p = put_name(p, name);
  if (p == nullptr) return std::nullopt;
  p = put16(put16(p, static_cast<unsigned>(type)), kInternet);
  return static_cast<std::size_t>(p - out.data());
}

std::string_view reverse_name(std::span<char, kMaxReverseName> out, const Address& address) {
  const std::string_view bytes = address.binary();
  std::string_view suffix;
  char* p = out.data();
  if (address.is_v4()) {
    for (auto byte = bytes.rbegin(); byte != bytes.rend(); ++byte) {
      p = print(p, static_cast<unsigned>(static_cast<unsigned char>(*byte)));
      *p++ = '.';
    }
    suffix = "in-addr.arpa";
  } else if (address.is_v6()) {
    for (auto byte = bytes.rbegin(); byte != bytes.rend(); ++byte) {
      char digits[2];
      hex_into(digits, &*byte, 1);
      for (char digit : {digits[1], '.', digits[0], '.'}) *p++ = digit;
    }
    suffix = "ip6.arpa";
  }
  std::memcpy(p, suffix.data(), suffix.size());
  return {out.data(), static_cast<std::size_t>(p - out.data()) + suffix.size()};
}

Result<Response> Response::parse(std::string_view message, bool over_tcp) {
  Reader reader(message, 0);
  Response response;
  response.message_ = message;
  response.id_ = static_cast<std::uint16_t>(reader.u16());
  const unsigned flags = reader.u16();
  const unsigned questions = reader.u16();
  response.answers_ = static_cast<std::uint16_t>(reader.u16());
  reader.u32();  // authority and additional records are of no use here
  if (!reader.ok()) return fail(reader.error());

  response.truncated_ = (flags & kTruncated) != 0;
  response.code_ = flags & 0xf;
  if ((flags & kFlagsChecked) != kFlagsOfResponse || (response.truncated_ && over_tcp)) {
    return fail(
        fmt::format("invalid {} DNS response {} fl:{:04X}", over_tcp ? "TCP" : "UDP", response.id_, flags));
  }
  if (response.code_ == kFormatError || response.code_ > kRefused) {
    response.answers_ = 0;
    return response;
  }

  if (questions != 1) return fail("invalid number of questions in DNS response");
  reader.name(response.name_);
  if (reader.ok() && response.name_.empty()) return fail("zero-length domain name in DNS response");
  response.type_ = static_cast<Type>(reader.u16());
  const unsigned net_class = reader.u16();
  if (!reader.ok()) return fail(reader.error());
  if (net_class != kInternet) {
    return fail("unknown query class " + std::to_string(net_class) + " in DNS response");
  }
  response.at_ = reader.at();
  return response;
}

Result<bool> Response::next(Record& record) {
  if (answers_ == 0) return false;
  Reader reader(message_, at_);
  record.address = {};
  reader.name(record.owner);
  record.type = static_cast<Type>(reader.u16());
  const unsigned net_class = reader.u16();
  const std::uint32_t ttl = reader.u32();
  record.ttl = ttl > 0x7fffffff ? 0 : ttl;  // RFC 2181 section 8
  const std::size_t size = reader.u16();
  if (reader.ok() && net_class != kInternet) {
    return fail("unexpected RR class " + std::to_string(net_class) + " in DNS response");
  }
  const std::size_t data_at = reader.at();
  if (reader.ok()) read_data(reader, record, size);
  if (reader.ok() && reader.at() - data_at != size) reader.fail_with("short DNS response");
  if (!reader.ok()) {
    answers_ = truncated_ ? 0 : answers_;
    if (truncated_) return false;
    return fail(reader.error());
  }
  at_ = reader.at();
  --answers_;
  return true;
}

}  // namespace mp::net::dns
