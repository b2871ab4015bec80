#include "http/header_id.hpp"

#include <array>

#include "base/ascii.hpp"

namespace mp::http {
namespace {

constexpr std::array<std::string_view, kHeaderIdCount> kNames = {std::string_view{},
#define MP_HTTP_HEADER_NAME(id, text) std::string_view{text},
                                                                 MP_HTTP_HEADERS(MP_HTTP_HEADER_NAME)
#undef MP_HTTP_HEADER_NAME
};

constexpr std::size_t kMaxName = 32;

struct LowerNames {
  char text[kHeaderIdCount][kMaxName] = {};
};

constexpr LowerNames make_lower_names() {
  LowerNames names;
  for (std::size_t i = 1; i < kHeaderIdCount; ++i) {
    for (std::size_t k = 0; k < kNames[i].size(); ++k) names.text[i][k] = to_lower(kNames[i][k]);
  }
  return names;
}

constexpr LowerNames kLower = make_lower_names();

constexpr std::uint64_t kFold = 0x2020202020202020;

constexpr std::uint64_t word_at(const char* p, std::size_t size) {
  return ascii_detail::load(p, size);
}

// The first and the last eight bytes of a name, which overlap in a short one: together the whole of all names
// up to 16 bytes.
struct Ends {
  std::uint64_t first;
  std::uint64_t last;
};

constexpr Ends ends_of(const char* name, std::size_t size) {
  if (size >= 8) return {word_at(name, 8), word_at(name + size - 8, 8)};
  if (size >= 4) return {word_at(name, 4), word_at(name + size - 4, 4)};
  return {word_at(name, 1), word_at(name + 1, 1) | word_at(name + size - 1, 1) << 8};  // two or three
}

// What a name is known by. `fold` has the case bit of every byte that is a letter.
struct Entry {
  Ends lower{};
  Ends fold{};
  std::uint8_t size = 0;
  std::uint8_t id = 0;
};

constexpr std::uint64_t fold_of(std::uint64_t word) {
  std::uint64_t fold = 0;
  for (int shift = 0; shift < 64; shift += 8) {
    if (is_alpha(static_cast<char>(word >> shift & 0xff))) fold |= std::uint64_t{0x20} << shift;
  }
  return fold;
}

// Case bits are dropped, so both cases land in one slot.
constexpr unsigned kSlots = 1024;
constexpr unsigned slot_of(Ends ends, std::size_t size, std::uint64_t factor) {
  const std::uint64_t mixed = (ends.first | kFold) + (ends.last | kFold) * 31 + size;
  return static_cast<unsigned>((mixed * factor) >> 54);
}

struct Table {
  std::array<std::uint8_t, kSlots> slot = {};  // 0: nothing; else an entry
  std::array<Entry, kHeaderIdCount> entry = {};
  std::uint64_t factor = 0;
};

constexpr bool place_all(Table& table, std::uint64_t factor) {
  table.slot = {};
  table.factor = factor;
  for (std::size_t i = 1; i < kHeaderIdCount; ++i) {
    std::uint8_t& slot = table.slot[slot_of(table.entry[i].lower, kNames[i].size(), factor)];
    if (slot != 0) return false;
    slot = static_cast<std::uint8_t>(i);
  }
  return true;
}

// Looks for a factor under which no two names share a slot: one probe decides a lookup.
constexpr Table make_table() {
  Table table;
  for (std::size_t i = 1; i < kHeaderIdCount; ++i) {
    const Ends lower = ends_of(kLower.text[i], kNames[i].size());
    table.entry[i] = {lower,
                      {fold_of(lower.first), fold_of(lower.last)},
                      static_cast<std::uint8_t>(kNames[i].size()),
                      static_cast<std::uint8_t>(i)};
  }
  std::uint64_t factor = 0x9e3779b97f4a7c15;
  for (int attempt = 0; attempt < 2000; ++attempt, factor += 0xd1342543de82ef94) {
    if (place_all(table, factor | 1)) return table;
  }
  table.factor = 0;
  return table;
}

constexpr Table kTable = make_table();
static_assert(kTable.factor != 0, "no collision-free factor: change slot_of or kSlots");
static_assert(kHeaderIdCount <= 256);

// What lies between the first and the last eight bytes of a long name.
[[gnu::noinline]] bool is_middle_of(std::string_view name, const char* lower) {
  for (std::size_t i = 8; i < name.size() - 8; ++i) {
    if (to_lower(name[i]) != lower[i]) return false;
  }
  return true;
}

}  // namespace

HeaderId header_id(std::string_view name) {
  const std::size_t size = name.size();
  if (size < 2 || size >= kMaxName) return HeaderId::unknown;
  const Ends ends = ends_of(name.data(), size);
  const Entry& entry = kTable.entry[kTable.slot[slot_of(ends, size, kTable.factor)]];
  const std::uint64_t differs = ((ends.first ^ entry.lower.first) & ~entry.fold.first) |
                                ((ends.last ^ entry.lower.last) & ~entry.fold.last) | (size ^ entry.size);
  if (differs != 0) return HeaderId::unknown;
  if (size > 16 && !is_middle_of(name, kLower.text[entry.id])) return HeaderId::unknown;
  return HeaderId{entry.id};
}

std::string_view header_name(HeaderId id) {
  return id < HeaderId::count_ ? kNames[static_cast<std::size_t>(id)] : std::string_view{};
}

std::string_view header_name_lower(HeaderId id) {
  if (id == HeaderId::unknown || id >= HeaderId::count_) return {};
  return {kLower.text[static_cast<std::size_t>(id)], kNames[static_cast<std::size_t>(id)].size()};
}

}  // namespace mp::http
