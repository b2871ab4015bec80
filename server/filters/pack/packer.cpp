#include "filters/pack/packer.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <span>

namespace mp::filters::pack {
namespace {

// How much is done to find better matches. One shorter than `lazy` is given up for a better one that begins a
// byte later, one shorter than `lazier` also for one that begins two bytes later.
struct Effort {
  unsigned eights;  // of positions that are looked at
  unsigned lazy;
  unsigned lazier;
};
// By level. What they make is of the size that zlib makes, over pages, scripts, style sheets, texts and JSON
// together.
constexpr Effort kEfforts[] = {{1, 6, 0}, {1, 16, 0}, {2, 32, 16}, {2, 64, 32}, {4, 32, 16}, {4, 64, 32}};

// Eights of positions in the table, 128 KB: more find little more, and leave the cache.
constexpr std::size_t kMostEights = 8192;
constexpr std::size_t kLeastHashes = 256;

// From which length on a copy is shorter than the bytes themselves: those of a text of few different ones are
// short, too. Judged by the beginning of the text.
unsigned shortest_copy(std::string_view body) {
  constexpr std::size_t kLooked = 4096;
  std::array<bool, 256> occurs{};
  for (const char c : body.substr(0, kLooked)) occurs[static_cast<Byte>(c)] = true;
  const auto letters = std::count(occurs.begin(), occurs.end(), true);
  return letters <= 4 ? 9 : letters <= 8 ? 7 : letters <= 15 ? 6 : letters <= 36 ? 5 : 4;
}

// How many bits `other` is better than `match`, about: each byte more is worth four, a distance costs as many
// as it has.
int gain(const Match& match, const Match& other) {
  return 4 * (static_cast<int>(other.length) - static_cast<int>(match.length)) +
         static_cast<int>(std::bit_width(match.distance)) - static_cast<int>(std::bit_width(other.distance));
}

// A match at `p`, for which a better one further on may be taken; `noted` is where the finder has got to.
template <class Finder>
struct Choice {
  Finder& finder;
  const Byte* searchable;
  const Byte* p;
  Match match;
  const Byte* noted = p + 1;

  [[gnu::always_inline]] void improve(const Effort& effort) {
    while (match.length < effort.lazy && noted < searchable) {
      if (take_if_better(2)) continue;
      if (match.length >= effort.lazier || noted == searchable || !take_if_better(6)) break;
    }
  }

  [[gnu::always_inline]] bool take_if_better(int least_gain) {
    const Byte* const next = noted++;
    const Match other = finder.longer(next, match.length - 1);
    if (other.length == 0 || gain(match, other) <= least_gain) return false;
    match = other;
    p = next;
    return true;
  }

  // The match begins earlier, as far as the text before it goes on to be the same.
  [[gnu::always_inline]] void grow_back(const Byte* text, const Byte* literals) {
    for (; p > literals && match.length < kLongest; --p, ++match.length) {
      if (p - match.distance == text || p[-1] != (p - match.distance)[-1]) break;
    }
  }

  // What is in a match can be found in its source, too: half of it is enough, but for the beginning.
  [[gnu::always_inline]] void note_rest() {
    constexpr std::ptrdiff_t kAll = 8;
    const Byte* const end = std::min(p + match.length, searchable);
    const Byte* const all = end - noted > kAll ? noted + kAll : end;
    for (; noted < all; ++noted) finder.note(noted);
    for (; noted < end; noted += 2) finder.note(noted);
  }
};

}  // namespace

Packer::Packer() : table_(kMostEights) {}

template <unsigned kEights>
void Packer::find_steps(int level, std::string_view body) {
  using Find = Finder<kEights>;
  const Effort effort = kEfforts[level - kLeastLevel];
  const std::size_t hashes = std::clamp(std::bit_ceil(body.size() / 4), kLeastHashes, kMostEights / kEights);
  const std::span<Positions> table(table_.data(), hashes * kEights);
  std::fill(table.begin(), table.end(), Positions{});

  const auto* const text = reinterpret_cast<const Byte*>(body.data());
  const Byte* const end = text + body.size();
  Find finder(table, text, end);
  const Byte* const searchable = body.size() < Find::kShortest ? text : end - Find::kShortest + 1;
  const unsigned shortest = std::max(shortest_copy(body), Find::kShortest);
  const Byte* literals = text;
  const Byte* p = text;
  if (p < searchable) finder.note(p++);
  while (p < searchable) {
    Choice<Find> choice{finder, searchable, p, finder.longer(p, shortest - 1)};
    if (choice.match.length == 0) {
      ++p;
      continue;
    }
    choice.improve(effort);
    choice.grow_back(text, literals);
    choice.note_rest();
    const Match match = choice.match;
    blocks_.add({static_cast<std::uint32_t>(choice.p - literals), static_cast<std::uint16_t>(match.length),
                 static_cast<std::uint16_t>(match.distance - 1)});
    p = literals = choice.p + match.length;
  }
  if (literals != end) blocks_.add({static_cast<std::uint32_t>(end - literals), 0, 0});
}

std::string_view Packer::pack(int level, std::string_view body) {
  const std::size_t room = Blocks::room_for(body.size());
  if (room_.size() < room) room_.resize(room);
  blocks_.begin(reinterpret_cast<const Byte*>(body.data()), room_.data());
  // A short body does not fill more.
  constexpr std::size_t kFillsEight = 4096;
  switch (std::min<std::size_t>(kEfforts[level - kLeastLevel].eights, body.size() / kFillsEight)) {
    case 0:
    case 1:
      find_steps<1>(level, body);
      break;
    case 2:
      find_steps<2>(level, body);
      break;
    default:
      find_steps<4>(level, body);
      break;
  }
  const Byte* const end = blocks_.finish();
  return {reinterpret_cast<const char*>(room_.data()), static_cast<std::size_t>(end - room_.data())};
}

}  // namespace mp::filters::pack
