#include <algorithm>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "../../fuzz/support/unpack.hpp"
#include "filters/pack/packer.hpp"
#include "filters/pack/prefix_code.hpp"

using namespace mp::filters::pack;

namespace {

// Packs and unpacks again; returns the size between. One packer for all: nothing of a text is left for the
// next.
std::size_t round_trip(int level, std::string_view text) {
  static Packer packer;
  const std::string_view packed = packer.pack(level, text);
  CHECK(packed.size() <= Blocks::room_for(text.size()));
  CHECK((mp::test::unpack(packed) == text));
  return packed.size();
}

class Random {
 public:
  explicit Random(unsigned seed) : state_(seed) {}
  unsigned below(unsigned limit) {
    state_ = state_ * 1664525 + 1013904223;
    return static_cast<unsigned>(std::uint64_t{state_} * limit >> 32);
  }

 private:
  unsigned state_;
};

std::string noise(std::size_t size, unsigned letters = 256, unsigned seed = 1) {
  Random random(seed);
  std::string out(size, '\0');
  for (char& c : out) c = static_cast<char>(random.below(letters));
  return out;
}

std::string words(std::size_t size) {
  static const char* const kWords[] = {
      "<li>", "</li>\n", "moon", " phase", "{\"id\": ", ", ", "}", " of", " the"};
  Random random(7);
  std::string out;
  while (out.size() < size) {
    out += kWords[random.below(std::size(kWords))];
    if (random.below(5) == 0) out += std::to_string(random.below(100000));
  }
  out.resize(size);
  return out;
}

std::vector<std::uint32_t> fibonacci(std::size_t n) {
  std::vector<std::uint32_t> out{1, 1};
  while (out.size() < n) out.push_back(out[out.size() - 1] + out[out.size() - 2]);
  return out;
}

void check_code(const std::vector<std::uint32_t>& counts, unsigned limit) {
  std::vector<std::uint8_t> lengths(counts.size());
  code_lengths(counts, limit, lengths);
  std::uint64_t room = std::uint64_t{1} << limit;
  for (std::size_t s = 0; s < counts.size(); ++s) {
    CHECK(lengths[s] <= limit);
    if (counts[s] != 0) CHECK(lengths[s] != 0);
    if (lengths[s] != 0) room -= std::uint64_t{1} << (limit - lengths[s]);
    for (std::size_t other = 0; other < s; ++other) {
      if (counts[other] > counts[s] && lengths[s] != 0) CHECK(lengths[other] <= lengths[s]);
    }
  }
  CHECK(room == 0);
}

}  // namespace

TEST_CASE("codes are complete and within their limit", "[pack]") {
  for (unsigned limit : {7u, 14u, 15u}) {
    const std::size_t most = limit == 7 ? 19 : 44;
    for (std::size_t n = 2; n <= most; ++n) {
      INFO(limit << " bits, " << n << " symbols");
      auto counts = fibonacci(n);
      check_code(counts, limit);
      std::reverse(counts.begin(), counts.end());
      check_code(counts, limit);
    }
  }
  Random random(3);
  for (int i = 0; i < 50; ++i) {
    std::vector<std::uint32_t> counts(286);
    for (auto& n : counts) n = random.below(3) == 0 ? 0 : 1 + random.below(1u << random.below(20));
    check_code(counts, 14);
    std::fill(counts.begin(), counts.end(), 1);
    check_code(counts, 14);
  }
}

TEST_CASE("a code has two symbols at least", "[pack]") {
  std::uint8_t lengths[4];
  const std::uint32_t none[] = {0, 0, 0, 0};
  code_lengths(none, 15, lengths);
  CHECK(std::vector<int>(lengths, lengths + 4) == std::vector<int>{1, 1, 0, 0});
  for (std::size_t only = 0; only < 4; ++only) {
    std::uint32_t counts[4] = {};
    counts[only] = 9;
    code_lengths(counts, 15, lengths);
    CHECK(lengths[only] == 1);
    CHECK(std::accumulate(lengths, lengths + 4, 0) == 2);
  }
}

TEST_CASE("codes of the example in RFC 1951, section 3.2.2", "[pack]") {
  const std::uint8_t lengths[] = {3, 3, 3, 3, 3, 2, 4, 4};
  std::uint16_t codes[8];
  codes_of(lengths, codes);
  // 010 011 100 101 110 00 1110 1111, the first bit lowest
  CHECK(std::vector<int>(codes, codes + 8) == std::vector<int>{2, 6, 1, 5, 3, 0, 7, 15});
}

TEST_CASE("short texts of every size come out again", "[pack]") {
  const std::string texts[] = {std::string(300, 'a'), noise(300), noise(300, 2), words(300),
                               noise(20) + noise(20) + std::string(240, '\xff') + noise(20)};
  for (const std::string& text : texts) {
    for (std::size_t size = 0; size <= text.size(); ++size) {
      for (int level : {4, 6, 9}) round_trip(level, std::string_view(text).substr(0, size));
    }
  }
}

TEST_CASE("texts around the sizes of the window and of positions come out again", "[pack]") {
  for (std::size_t about : {4096, 8192, 16384, 32768, 65536, 131072}) {
    for (const std::string& text : {words(about + 2), noise(about + 2, 3), std::string(about + 2, ' ')}) {
      for (std::size_t size = about - 2; size <= about + 2; ++size)
        round_trip(4 + static_cast<int>(size % 6), std::string_view(text).substr(0, size));
    }
  }
}

TEST_CASE("texts of several megabytes come out again, in blocks of all kinds", "[pack]") {
  std::string text = words(1500000) + noise(200000) + std::string(1000000, '\0') + noise(100000, 4, 2);
  text += text.substr(1400000, 500000);
  for (int level : {5, 9}) round_trip(level, text);
}

TEST_CASE("what cannot be made smaller hardly grows, what repeats itself all but vanishes", "[pack]") {
  for (int level = 4; level <= 9; ++level) {
    CHECK(round_trip(level, {}) <= 2);
    CHECK(round_trip(level, "a") <= 3);
    CHECK(round_trip(level, noise(200000)) <= 200000 + 30);
    CHECK(round_trip(level, std::string(1000000, 'x')) < 1200);
  }
}

TEST_CASE("copies come from as far as 32768 bytes, and not from further", "[pack]") {
  const std::string twice = noise(1000, 256, 5);
  for (int level : {5, 7, 9}) {
    const auto with_distance = [&](std::size_t distance) {
      return round_trip(level, twice + noise(distance - twice.size(), 256, 6) + twice);
    };
    CHECK(with_distance(32768) < 32768 + 100);
    CHECK(with_distance(32769) > 32769 + 900);
    CHECK(with_distance(65536) > 65536 + 900);
    CHECK(with_distance(65536 + 300) > 65536 + 300 + 900);
  }
}

TEST_CASE("texts whose letters are as unlike in number as can be", "[pack]") {
  std::string text;
  char letter = 'A';
  for (const std::uint32_t n : fibonacci(25)) text.append(n, letter++);
  Random random(11);
  for (std::size_t i = text.size(); i > 1; --i)
    std::swap(text[i - 1], text[random.below(static_cast<unsigned>(i))]);
  for (int level : {4, 6}) CHECK(round_trip(level, text) < text.size() * 2 / 5);
}
