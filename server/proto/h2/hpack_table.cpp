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
  std::string_view value = {};
  HeaderId id = HeaderId::unknown;
  H2Pseudo pseudo = H2Pseudo::none;
};

constexpr Row field(std::string_view name, HeaderId id, std::string_view value = {}) {
  return {name, value, id};
}
constexpr Row pseudo(std::string_view name, H2Pseudo kind, std::string_view value = {}) {
  return {name, value, HeaderId::unknown, kind};
}

constexpr std::array<Row, kHpackStatic> kRows = {{
    pseudo(":authority", H2Pseudo::authority),
    pseudo(":method", H2Pseudo::method, "GET"),
    pseudo(":method", H2Pseudo::method, "POST"),
    pseudo(":path", H2Pseudo::path, "/"),
    pseudo(":path", H2Pseudo::path, "/index.html"),
    pseudo(":scheme", H2Pseudo::scheme, "http"),
    pseudo(":scheme", H2Pseudo::scheme, "https"),
    pseudo(":status", H2Pseudo::other, "200"),
    pseudo(":status", H2Pseudo::other, "204"),
    pseudo(":status", H2Pseudo::other, "206"),
    pseudo(":status", H2Pseudo::other, "304"),
    pseudo(":status", H2Pseudo::other, "400"),
    pseudo(":status", H2Pseudo::other, "404"),
    pseudo(":status", H2Pseudo::other, "500"),
    field("accept-charset", HeaderId::accept_charset),
    field("accept-encoding", HeaderId::accept_encoding, "gzip, deflate"),
    field("accept-language", HeaderId::accept_language),
    field("accept-ranges", HeaderId::accept_ranges),
    field("accept", HeaderId::accept),
    field("access-control-allow-origin", HeaderId::access_control_allow_origin),
    field("age", HeaderId::age),
    field("allow", HeaderId::allow),
    field("authorization", HeaderId::authorization),
    field("cache-control", HeaderId::cache_control),
    field("content-disposition", HeaderId::content_disposition),
    field("content-encoding", HeaderId::content_encoding),
    field("content-language", HeaderId::content_language),
    field("content-length", HeaderId::content_length),
    field("content-location", HeaderId::content_location),
    field("content-range", HeaderId::content_range),
    field("content-type", HeaderId::content_type),
    field("cookie", HeaderId::cookie),
    field("date", HeaderId::date),
    field("etag", HeaderId::etag),
    field("expect", HeaderId::expect),
    field("expires", HeaderId::expires),
    field("from", HeaderId::from),
    field("host", HeaderId::host),
    field("if-match", HeaderId::if_match),
    field("if-modified-since", HeaderId::if_modified_since),
    field("if-none-match", HeaderId::if_none_match),
    field("if-range", HeaderId::if_range),
    field("if-unmodified-since", HeaderId::if_unmodified_since),
    field("last-modified", HeaderId::last_modified),
    field("link", HeaderId::link),
    field("location", HeaderId::location),
    field("max-forwards", HeaderId::max_forwards),
    field("proxy-authenticate", HeaderId::proxy_authenticate),
    field("proxy-authorization", HeaderId::proxy_authorization),
    field("range", HeaderId::range),
    field("referer", HeaderId::referer),
    field("refresh", HeaderId::refresh),
    field("retry-after", HeaderId::retry_after),
    field("server", HeaderId::server),
    field("set-cookie", HeaderId::set_cookie),
    field("strict-transport-security", HeaderId::strict_transport_security),
    field("transfer-encoding", HeaderId::transfer_encoding),
    field("user-agent", HeaderId::user_agent),
    field("vary", HeaderId::vary),
    field("via", HeaderId::via),
    field("www-authenticate", HeaderId::www_authenticate),
}};

constexpr std::array<HpackStatic, kHpackStatic + 1> make_table() {
  std::array<HpackStatic, kHpackStatic + 1> table = {};
  for (std::size_t i = 0; i < kHpackStatic; ++i) {
    table[i + 1] = {{kRows[i].name, kRows[i].id, kRows[i].pseudo, true}, kRows[i].value};
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

H2Pseudo pseudo_of(std::string_view text) {
  if (text == ":path") return H2Pseudo::path;
  if (text == ":authority") return H2Pseudo::authority;
  if (text == ":method") return H2Pseudo::method;
  if (text == ":scheme") return H2Pseudo::scheme;
  if (text == ":protocol") return H2Pseudo::protocol;
  return H2Pseudo::other;
}

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
