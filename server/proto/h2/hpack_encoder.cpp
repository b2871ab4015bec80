#include "proto/h2/hpack_encoder.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/ascii.hpp"

namespace mp::proto {
namespace {

using http::HeaderId;

// Fields with the same value in many responses. Not those that tell about one resource.
constexpr bool is_repeated(HeaderId id) {
  switch (id) {
    case HeaderId::accept_ranges:
    case HeaderId::access_control_allow_origin:
    case HeaderId::allow:
    case HeaderId::alt_svc:
    case HeaderId::cache_control:
    case HeaderId::content_encoding:
    case HeaderId::content_language:
    case HeaderId::content_type:
    case HeaderId::date:
    case HeaderId::expires:
    case HeaderId::p3p:
    case HeaderId::pragma:
    case HeaderId::server:
    case HeaderId::strict_transport_security:
    case HeaderId::vary:
    case HeaderId::via:
    case HeaderId::x_powered_by:
      return true;
    default:
      return false;
  }
}

char* put_integer(char* p, unsigned first, unsigned prefix, std::size_t value) {
  const std::size_t most = (std::size_t{1} << prefix) - 1;
  if (value < most) {
    *p = static_cast<char>(first | value);
    return p + 1;
  }
  *p++ = static_cast<char>(first | most);
  for (value -= most; value >= 0x80; value >>= 7) *p++ = static_cast<char>(value | 0x80);
  *p = static_cast<char>(value);
  return p + 1;
}

char* put_string(char* p, std::string_view text) {
  p = put_integer(p, 0, 7, text.size());
  if (!text.empty()) std::memcpy(p, text.data(), text.size());
  return p + text.size();
}

constexpr unsigned kIndexed = 0x80;  // and seven bits
constexpr unsigned kAdded = 0x40;    // and six
constexpr unsigned kLiteral = 0x00;  // and four
constexpr unsigned kSize = 0x20;     // and five
constexpr unsigned kStatusName = 8;

}  // namespace

void HpackEncoder::set_table_size(std::size_t size) {
  const auto limit = static_cast<std::uint16_t>(std::min(size, kHpackTable));
  if (limit == limit_) return;
  smallest_ = update_size_ ? std::min(smallest_, limit) : limit;
  limit_ = limit;
  update_size_ = true;
  forget();
}

// What the client drops from its table is not counted; so nothing in it is used any more.
void HpackEncoder::forget() {
  added_ = 0;
  last_ = {};
}

char* HpackEncoder::put_sizes(char* p) {
  update_size_ = false;
  if (smallest_ < limit_) p = put_integer(p, kSize, 5, smallest_);
  return put_integer(p, kSize, 5, limit_);
}

char* HpackEncoder::status(char* p, int status) {
  constexpr std::uint16_t kKnown[] = {200, 204, 206, 304, 400, 404, 500};
  for (unsigned i = 0; i < std::size(kKnown); ++i) {
    if (status != kKnown[i]) continue;
    *p = static_cast<char>(kIndexed | (kStatusName + i));
    return p + 1;
  }
  p = put_integer(p, kLiteral, 4, kStatusName);
  *p = 3;
  for (int i = 3; i > 0; --i, status /= 10) p[i] = static_cast<char>('0' + status % 10);
  return p + 4;
}

bool HpackEncoder::is(std::uint32_t number, HeaderId id, std::string_view value) const {
  const Entry& entry = entries_[number % kEntries];
  return entry.id == static_cast<std::uint8_t>(id) && entry.size == value.size() &&
         std::memcmp(entry.value, value.data(), value.size()) == 0;
}

char* HpackEncoder::field(char* p, HeaderId id, std::string_view value) {
  if (!is_repeated(id) || limit_ < kMostSize || value.size() > sizeof(Entry::value) || value.empty()) {
    return put_literal(p, kLiteral, 4, id, value);
  }
  const std::uint32_t last = last_[static_cast<std::size_t>(id)];
  if (last != 0 && added_ - last < kEntries && is(last - 1, id, value)) {
    return put_integer(p, kIndexed, 7, kHpackStatic + 1 + (added_ - last));
  }
  return put_new(p, id, value);
}

// It is in the table and not the last one of its name, or it is put there.
char* HpackEncoder::put_new(char* p, HeaderId id, std::string_view value) {
  if (entries_ == nullptr) entries_.reset(new Entry[kEntries]);
  for (std::uint32_t age = 0; age < std::min(added_, std::uint32_t{kEntries}); ++age) {
    if (!is(added_ - 1 - age, id, value)) continue;
    last_[static_cast<std::size_t>(id)] = added_ - age;
    return put_integer(p, kIndexed, 7, kHpackStatic + 1 + age);
  }
  Entry& entry = entries_[added_ % kEntries];
  entry.id = static_cast<std::uint8_t>(id);
  entry.size = static_cast<std::uint8_t>(value.copy(entry.value, sizeof entry.value));
  last_[static_cast<std::size_t>(id)] = ++added_;
  return put_literal(p, kAdded, 6, id, value);
}

char* HpackEncoder::put_literal(char* p, unsigned first, unsigned prefix, HeaderId id,
                                std::string_view value) {
  const unsigned index = hpack_static_name(id);
  p = put_integer(p, first, prefix, index);
  if (index == 0) p = put_string(p, http::header_name_lower(id));
  return put_string(p, value);
}

char* HpackEncoder::field(char* p, std::string_view name, std::string_view value) {
  p = put_integer(p, kLiteral, 4, 0);
  p = put_integer(p, 0, 7, name.size());
  p = std::transform(name.begin(), name.end(), p, to_lower);
  return put_string(p, value);
}

char* HpackEncoder::number(char* p, HeaderId id, std::int64_t value) {
  char text[20];
  const char* const end = std::to_chars(text, text + sizeof text, value).ptr;
  return put_literal(p, kLiteral, 4, id, {text, static_cast<std::size_t>(end - text)});
}

}  // namespace mp::proto
