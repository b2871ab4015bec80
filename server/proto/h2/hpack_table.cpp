#include "proto/h2/hpack_table.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace mp::proto {
namespace {

using http::HeaderId;

struct Row {
  std::string_view name;
  HeaderId id = HeaderId::unknown;
  std::string_view value = {};
};

constexpr Row pseudo(std::string_view name, std::string_view value = {}) {
  return {name, HeaderId::unknown, value};
}

// RFC 7541 appendix A.
constexpr std::array<Row, kHpackStatic> kRows = {{
    pseudo(":authority"),
    pseudo(":method", "GET"),
    pseudo(":method", "POST"),
    pseudo(":path", "/"),
    pseudo(":path", "/index.html"),
    pseudo(":scheme", "http"),
    pseudo(":scheme", "https"),
    pseudo(":status", "200"),
    pseudo(":status", "204"),
    pseudo(":status", "206"),
    pseudo(":status", "304"),
    pseudo(":status", "400"),
    pseudo(":status", "404"),
    pseudo(":status", "500"),
    {"accept-charset", HeaderId::accept_charset},
    {"accept-encoding", HeaderId::accept_encoding, "gzip, deflate"},
    {"accept-language", HeaderId::accept_language},
    {"accept-ranges", HeaderId::accept_ranges},
    {"accept", HeaderId::accept},
    {"access-control-allow-origin", HeaderId::access_control_allow_origin},
    {"age", HeaderId::age},
    {"allow", HeaderId::allow},
    {"authorization", HeaderId::authorization},
    {"cache-control", HeaderId::cache_control},
    {"content-disposition", HeaderId::content_disposition},
    {"content-encoding", HeaderId::content_encoding},
    {"content-language", HeaderId::content_language},
    {"content-length", HeaderId::content_length},
    {"content-location", HeaderId::content_location},
    {"content-range", HeaderId::content_range},
    {"content-type", HeaderId::content_type},
    {"cookie", HeaderId::cookie},
    {"date", HeaderId::date},
    {"etag", HeaderId::etag},
    {"expect", HeaderId::expect},
    {"expires", HeaderId::expires},
    {"from", HeaderId::from},
    {"host", HeaderId::host},
    {"if-match", HeaderId::if_match},
    {"if-modified-since", HeaderId::if_modified_since},
    {"if-none-match", HeaderId::if_none_match},
    {"if-range", HeaderId::if_range},
    {"if-unmodified-since", HeaderId::if_unmodified_since},
    {"last-modified", HeaderId::last_modified},
    {"link", HeaderId::link},
    {"location", HeaderId::location},
    {"max-forwards", HeaderId::max_forwards},
    {"proxy-authenticate", HeaderId::proxy_authenticate},
    {"proxy-authorization", HeaderId::proxy_authorization},
    {"range", HeaderId::range},
    {"referer", HeaderId::referer},
    {"refresh", HeaderId::refresh},
    {"retry-after", HeaderId::retry_after},
    {"server", HeaderId::server},
    {"set-cookie", HeaderId::set_cookie},
    {"strict-transport-security", HeaderId::strict_transport_security},
    {"transfer-encoding", HeaderId::transfer_encoding},
    {"user-agent", HeaderId::user_agent},
    {"vary", HeaderId::vary},
    {"via", HeaderId::via},
    {"www-authenticate", HeaderId::www_authenticate},
}};

constexpr H2Pseudo pseudo_of(std::string_view text) {
  if (!text.starts_with(':')) return H2Pseudo::none;
  if (text == ":path") return H2Pseudo::path;
  if (text == ":authority") return H2Pseudo::authority;
  if (text == ":method") return H2Pseudo::method;
  if (text == ":scheme") return H2Pseudo::scheme;
  if (text == ":protocol") return H2Pseudo::protocol;
  return H2Pseudo::other;
}

constexpr std::array<HpackStatic, kHpackStatic + 1> make_table() {
  std::array<HpackStatic, kHpackStatic + 1> table = {};
  for (std::size_t i = 0; i < kHpackStatic; ++i) {
    table[i + 1] = {{kRows[i].name, kRows[i].id, pseudo_of(kRows[i].name), true}, kRows[i].value};
  }
  return table;
}

constexpr std::array<std::uint8_t, http::kHeaderIdCount> make_indices() {
  std::array<std::uint8_t, http::kHeaderIdCount> indices = {};
  for (std::size_t i = kHpackStatic; i-- > 0;) {
    if (kRows[i].id == HeaderId::unknown) continue;
    indices[static_cast<std::size_t>(kRows[i].id)] = static_cast<std::uint8_t>(i + 1);
  }
  return indices;
}

constexpr auto kStatic = make_table();
constexpr auto kIndices = make_indices();

}  // namespace

HpackName hpack_name(std::string_view text) {
  if (text.starts_with(':')) return {text, HeaderId::unknown, pseudo_of(text)};
  const HeaderId id = http::header_id(text);
  if (id == HeaderId::unknown) return {text};
  const std::string_view lower = http::header_name_lower(id);
  if (lower != text) return {text};
  return {lower, id, H2Pseudo::none, true};
}

const HpackStatic& hpack_static(std::size_t index) {
  return kStatic[index];
}

unsigned hpack_static_name(HeaderId id) {
  return kIndices[static_cast<std::size_t>(id)];
}

HpackTable::Entry* HpackTable::add(const HpackName& name, std::string_view value) {
  const std::size_t size = name.text.size() + value.size() + kHpackOverhead;
  if (size > limit_) {
    evict(0);
    return nullptr;
  }
  const std::size_t own = name.constant ? 0 : name.text.size();
  const std::size_t bytes = own + value.size();
  const char* text = name.text.data();
  if (room_ - end_ < bytes) {
    // The name may lie in what moves, and is not there any more once it is evicted.
    const char* const old = bytes_.get();
    const bool inside = own > 0 && text >= old && text < old + end_;
    char copy[kHpackTable];
    if (inside) text = static_cast<const char*>(std::memcpy(copy, text, own));
    evict(limit_ - size);
    make_room(bytes);
    if (own > 0) std::memcpy(bytes_.get() + end_, text, own);
  } else {
    // What is evicted stays where it is.
    if (own > 0) std::memcpy(bytes_.get() + end_, text, own);
    evict(limit_ - size);
  }
  if (count_ == capacity_) make_place();
  if (!value.empty()) std::memcpy(bytes_.get() + end_ + own, value.data(), value.size());
  Entry& entry = entries_[next_++ & (capacity_ - 1)];
  entry = {name.constant ? name.text.data() : nullptr,
           static_cast<std::uint32_t>(end_),
           static_cast<std::uint16_t>(name.text.size()),
           static_cast<std::uint16_t>(value.size()),
           name.id,
           name.pseudo,
           false};
  end_ += bytes;
  size_ += size;
  ++count_;
  return &entry;
}

void HpackTable::resize(std::size_t limit) {
  limit_ = limit;
  evict(limit);
}

void HpackTable::evict(std::size_t limit) {
  while (size_ > limit) {
    size_ -= size_of(*find(count_ - 1));
    --count_;
  }
}

void HpackTable::make_place() {
  const std::size_t capacity = capacity_ == 0 ? 16 : 2 * capacity_;
  auto entries = std::make_unique<Entry[]>(capacity);
  for (std::size_t i = 0; i < count_; ++i) entries[i] = *find(count_ - 1 - i);
  entries_ = std::move(entries);
  capacity_ = capacity;
  next_ = count_;
}

// Moves the texts to the front, into more memory when they fill half of it.
void HpackTable::make_room(std::size_t bytes) {
  const std::size_t first = count_ > 0 ? find(count_ - 1)->at : end_;
  const std::size_t live = end_ - first;
  std::size_t room = std::max<std::size_t>(room_, 512);
  while (room / 2 < live + bytes && room < 2 * kHpackTable) room *= 2;
  if (room != room_) {
    std::unique_ptr<char[]> moved(new char[room]);
    if (live > 0) std::memcpy(moved.get(), bytes_.get() + first, live);
    bytes_ = std::move(moved);
    room_ = room;
  } else if (live > 0) {
    std::memmove(bytes_.get(), bytes_.get() + first, live);
  }
  for (std::size_t i = 0; i < count_; ++i) find(i)->at -= static_cast<std::uint32_t>(first);
  end_ = live;
}

}  // namespace mp::proto
