// DNS messages (RFC 1035, 2782, 3596): queries to send, responses to read. Nothing is trusted and nothing
// allocated: names have a fixed size, compression pointers only lead backwards, every length is checked.
// Texts of errors are those that go to the error log. Response and Record hold views of, or values copied
// from, the bytes of one message; the message must outlive the Response.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/result.hpp"
#include "net/address.hpp"

namespace mp::net::dns {

enum class Type : std::uint16_t { none = 0, a = 1, cname = 5, ptr = 12, aaaa = 28, srv = 33, dname = 39 };

// Response codes; those above `refused` have no established text.
inline constexpr unsigned kFormatError = 1;
inline constexpr unsigned kHostNotFound = 3;
inline constexpr unsigned kRefused = 5;
inline constexpr unsigned kTimedOut = 110;  // not on the wire: what a resolver reports without an answer

// "Format error", "Server failure", "Host not found", "Unimplemented", "Operation refused", "Operation
// timed out", else "Unknown error"; logged as "(3: Host not found)".
std::string_view code_text(unsigned code);

// A domain name in text form, lower case, without the final dot.
class Name {
 public:
  static constexpr std::size_t kMax = 253;
  std::string_view text() const { return {text_, size_}; }
  bool empty() const { return size_ == 0; }

 private:
  friend class Reader;
  char text_[kMax + 1];
  std::uint8_t size_ = 0;
};

inline constexpr std::size_t kMaxQuery = 12 + 255 + 4;

// Writes a recursive query for one name and returns its length; nothing when `name` is no domain name
// (an empty label, one above 63 bytes, more than 253 in all). One final dot is ignored.
std::optional<std::size_t> write_query(std::span<char, kMaxQuery> out, std::uint16_t id,
                                       std::string_view name, Type type);

// "4.3.2.1.in-addr.arpa", "....ip6.arpa"; empty for other families.
inline constexpr std::size_t kMaxReverseName = 72;
std::string_view reverse_name(std::span<char, kMaxReverseName> out, const Address& address);

struct Record {
  Name owner;
  Type type = Type::none;  // as on the wire, known or not
  std::uint32_t ttl = 0;
  Address address;                                   // a, aaaa
  Name target;                                       // cname, ptr, srv
  std::uint16_t priority = 0, weight = 0, port = 0;  // srv
};

class Response {
 public:
  // Reads the header and the question. A response with code kFormatError or above kRefused may lack a
  // question. An error for anything that is no response to a standard query.
  static Result<Response> parse(std::string_view message, bool over_tcp);

  std::uint16_t id() const { return id_; }
  unsigned code() const { return code_; }
  bool truncated() const { return truncated_; }  // ask again over TCP
  bool has_question() const { return type_ != Type::none; }
  const Name& name() const { return name_; }
  Type type() const { return type_; }
  std::size_t answers() const { return answers_; }  // not read yet

  // Reads the next answer; false behind the last one. A truncated response ends early without an error.
  Result<bool> next(Record& record);

 private:
  std::string_view message_;
  std::size_t at_ = 0;
  std::uint16_t answers_ = 0;
  std::uint16_t id_ = 0;
  unsigned code_ = 0;
  bool truncated_ = false;
  Type type_ = Type::none;
  Name name_;
};

}  // namespace mp::net::dns
