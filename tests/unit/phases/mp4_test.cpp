// Parts of movies: which samples, where, and what the new boxes say. The movie here has ten samples of a
// tenth of a second, of 1 to 10 bytes, in chunks of 4, 4 and 2.
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "phases/10_content/mp4/movie.hpp"

using namespace mp::phases::mp4;

namespace {

using Numbers = std::vector<std::uint32_t>;

void put(std::string& out, const Numbers& numbers) {
  BoxWriter writer(out);
  for (const std::uint32_t n : numbers) writer.number(n);
}

std::string content(const Numbers& numbers) {
  std::string text;
  put(text, numbers);
  return text;
}

struct Movie {
  Numbers times = {0, 1, 10, 100};
  Numbers syncs = {0, 2, 1, 6};
  Numbers runs = {0, 2, 1, 4, 1, 3, 2, 1};
  Numbers sizes = {0, 0, 10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  Numbers offsets = {0, 3, 1000, 2000, 3000};
  std::uint32_t track_duration = 1000;

  std::string moov() const {
    std::string text;
    BoxWriter out(text);
    out.box("mvhd", content({0, 0, 0, 1000, 1000, 0}));
    out.box("udta", "left out");
    out.box("trak", [&] {
      out.box("tkhd", content({0, 0, 0, 1, 0, track_duration, 0}));
      out.box("mdia", [&] {
        out.box("minf", [&] {
          out.box("stbl", [&] {
            out.box("stts", content(times));
            out.box("stss", content(syncs));
            out.box("stsc", content(runs));
            out.box("stsz", content(sizes));
            out.box("stco", content(offsets));
          });
        });
        out.box("mdhd", content({0, 0, 0, 1000, track_duration, 0}));
      });
    });
    return text;
  }

  mp::Result<Part> part(std::uint64_t start, std::uint64_t length, bool key_frame = false) const {
    const std::string text = moov();
    return make_part({"isom", text, 4000}, {start, length, key_frame});
  }
};

// The numbers in a box, found by its path.
Numbers numbers(std::string_view bytes, std::vector<std::string_view> path) {
  Numbers found;
  for_each_box(bytes, [&](std::string_view name, std::string_view inner) {
    if (name != path[0]) return true;
    if (path.size() > 1) {
      found = numbers(inner, {path.begin() + 1, path.end()});
    } else {
      for (; inner.size() >= 4; inner.remove_prefix(4)) found.push_back(read32(inner.data()));
    }
    return false;
  });
  return found;
}

Numbers table(const Part& part, std::string_view name) {
  return numbers(part.head, {"moov", "trak", "mdia", "minf", "stbl", name});
}

}  // namespace

TEST_CASE("mp4: a part of a movie") {
  const auto part = Movie().part(250, 500);
  REQUIRE(part);
  CHECK(part->offset == 1003);
  CHECK(part->size == 2018 - 1003);
  CHECK(table(*part, "stts") == Numbers{0, 1, 5, 100});
  CHECK(table(*part, "stss") == Numbers{0, 1, 4});
  CHECK(table(*part, "stsc") == Numbers{0, 2, 1, 2, 1, 2, 3, 1});
  CHECK(table(*part, "stsz") == Numbers{0, 0, 5, 3, 4, 5, 6, 7});
  const auto size = static_cast<std::uint32_t>(part->head.size());
  CHECK(table(*part, "stco") == Numbers{0, 2, size, size + 2000 - 1003});
  CHECK(numbers(part->head, {"moov", "mvhd"})[4] == 500);
  CHECK(numbers(part->head, {"moov", "trak", "tkhd"})[5] == 500);
  CHECK(numbers(part->head, {"moov", "trak", "mdia", "mdhd"})[4] == 500);
  CHECK(part->head.substr(part->head.size() - 8) == content({1015 + 8}) + "mdat");
  CHECK(part->head.find("udta") == std::string::npos);
}

TEST_CASE("mp4: from a time to the end of the media") {
  const auto part = Movie().part(850, 0);
  REQUIRE(part);
  CHECK(part->offset == 3000);
  CHECK(part->size == 1000);
  CHECK(table(*part, "stts") == Numbers{0, 1, 2, 100});
  CHECK(table(*part, "stss") == Numbers{0, 0});
  CHECK(table(*part, "stsc") == Numbers{0, 1, 1, 2, 1});
  CHECK(table(*part, "stsz") == Numbers{0, 0, 2, 9, 10});
}

TEST_CASE("mp4: a part inside one chunk") {
  const auto part = Movie().part(100, 200);
  REQUIRE(part);
  CHECK(part->offset == 1001);
  CHECK(part->size == 2 + 3);
  CHECK(table(*part, "stsc") == Numbers{0, 1, 1, 2, 1});
  CHECK(table(*part, "stco").size() == 3);
}

TEST_CASE("mp4: samples of one size, offsets of 64 bits") {
  Movie movie;
  movie.sizes = {0, 20, 10};
  const auto part = movie.part(500, 300);
  REQUIRE(part);
  CHECK(part->offset == 2020);
  CHECK(part->size == 60);
  CHECK(table(*part, "stsz") == Numbers{0, 20, 3});
}

TEST_CASE("mp4: from the key frame before") {
  const auto part = Movie().part(750, 100, true);
  REQUIRE(part);
  CHECK(table(*part, "stts") == Numbers{0, 1, 3, 100});
  CHECK(table(*part, "stss") == Numbers{0, 1, 1});
  CHECK(numbers(part->head, {"moov", "trak", "edts", "elst"}) ==
        Numbers{1u << 24, 1, 0, 100, 0, 200, 1u << 16});
  CHECK(numbers(part->head, {"moov", "trak", "mdia", "mdhd"})[4] == 300);
}

TEST_CASE("mp4: what cannot be") {
  CHECK(Movie().part(1000, 0).error().text == "mp4 start time exceeds file duration");
  Movie movie;
  movie.track_duration = 500;
  CHECK(movie.part(600, 0).error().text == "no mp4 trak atoms were found");
  movie = {};
  movie.offsets = {0, 3, 5000, 6000, 7000};
  CHECK(movie.part(0, 500).error().text == "start time is out mp4 mdat atom");
  movie = {};
  movie.offsets = {0, 4, 1000, 2000, 3000};
  CHECK(movie.part(0, 500).error().text == "mp4 stco atom too small");
  movie = {};
  movie.runs = {0, 2, 3, 4, 1, 3, 2, 1};
  CHECK(movie.part(0, 500).error().text == "unordered mp4 stsc chunks");
  movie = {};
  movie.runs = {0, 1, 1, 2, 1};
  CHECK(movie.part(650, 0).error().text == "time is out mp4 stsc chunks");
  movie = {};
  movie.times = {0, 1, 5, 100};
  CHECK(movie.part(600, 0).error().text == "start time is out mp4 stts samples");
}
