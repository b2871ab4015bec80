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

// Mixes length and four characters; case bits are dropped, so both cases land in one slot.
constexpr unsigned kSlots = 2048;
constexpr unsigned slot_of(const char* name, std::size_t size, unsigned factor) {
  const auto at = [name](std::size_t i) {
    return static_cast<unsigned>(static_cast<unsigned char>(name[i]) | 0x20u);
  };
  const unsigned mixed = at(0) + at(size / 2) * 31u + at(size - 1) * 977u + at(size * 3 / 4) * 8191u +
                         static_cast<unsigned>(size) * 131071u;
  return (mixed * factor) >> 21;
}

struct Slots {
  std::array<std::uint8_t, kSlots> id = {};
  unsigned factor = 0;
};

constexpr bool place_all(Slots& slots, unsigned factor) {
  slots.id = {};
  slots.factor = factor;
  for (std::size_t i = 1; i < kHeaderIdCount; ++i) {
    std::uint8_t& slot = slots.id[slot_of(kNames[i].data(), kNames[i].size(), factor)];
    if (slot != 0) return false;
    slot = static_cast<std::uint8_t>(i);
  }
  return true;
}

// Looks for a factor under which no two names share a slot: one probe decides a lookup.
constexpr Slots make_slots() {
  Slots slots;
  unsigned factor = 2654435761u;
  for (int attempt = 0; attempt < 200; ++attempt, factor += 0x9e3779b8u) {
    if (place_all(slots, factor | 1u)) return slots;
  }
  slots.factor = 0;
  return slots;
}

// Whether `name` is `lower` in any case.
bool is_spelling_of(std::string_view name, const char* lower) {
  using namespace ascii_detail;
  const char* p = name.data();
  std::size_t left = name.size();
  for (; left >= 8; left -= 8, p += 8, lower += 8) {
    if (lower8(load(p, 8)) != load(lower, 8)) return false;
  }
  if (left >= 4) {
    if (lower8(load(p, 4)) != load(lower, 4)) return false;
    left -= 4, p += 4, lower += 4;
  }
  for (; left != 0; --left) {
    if (to_lower(*p++) != *lower++) return false;
  }
  return true;
}

constexpr Slots kTable = make_slots();
static_assert(kTable.factor != 0, "no collision-free factor: change slot_of or kSlots");
static_assert(kHeaderIdCount <= 256);

}  // namespace

HeaderId header_id(std::string_view name) {
  const std::size_t size = name.size();
  if (size < 2 || size >= kMaxName) return HeaderId::unknown;
  const std::uint8_t id = kTable.id[slot_of(name.data(), size, kTable.factor)];
  if (id == 0 || kNames[id].size() != size) return HeaderId::unknown;
  return is_spelling_of(name, kLower.text[id]) ? HeaderId{id} : HeaderId::unknown;
}

std::string_view header_name(HeaderId id) {
  return id < HeaderId::count_ ? kNames[static_cast<std::size_t>(id)] : std::string_view{};
}

std::string_view header_name_lower(HeaderId id) {
  if (id == HeaderId::unknown || id >= HeaderId::count_) return {};
  return {kLower.text[static_cast<std::size_t>(id)], kNames[static_cast<std::size_t>(id)].size()};
}

}  // namespace mp::http
