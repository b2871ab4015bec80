#include "filters/deflate.hpp"

#include <catch2/catch.hpp>
#include <zlib.h>

using mp::filters::deflate_whole;
using mp::filters::DeflateBuffers;
using mp::filters::Deflater;
using Flush = Deflater::Flush;

namespace {

// Compresses `bytes` with `room` bytes of output at a time; appends to `out`.
void feed(Deflater& deflater, std::string_view bytes, Flush flush, std::size_t room, std::string& out) {
  std::string buffer(room, '\0');
  Deflater::Result result;
  do {
    std::size_t made = 0;
    result = deflater.run(bytes, flush, buffer, made);
    REQUIRE(result != Deflater::Result::failed);
    out.append(buffer, 0, made);
  } while (result == Deflater::Result::more);
  CHECK(bytes.empty());
}

std::string inflate_gzip(std::string_view packed, bool complete = true) {
  z_stream z{};
  REQUIRE(inflateInit2(&z, 15 + 16) == Z_OK);
  std::string out(8 << 20, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  z.avail_in = static_cast<uInt>(packed.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  const int rc = inflate(&z, Z_SYNC_FLUSH);
  out.resize(z.total_out);
  inflateEnd(&z);
  CHECK(rc == (complete ? Z_STREAM_END : Z_OK));
  if (complete) CHECK(z.avail_in == 0);
  return out;
}

std::string sample(std::size_t size) {
  std::string text;
  for (unsigned i = 0; text.size() < size; ++i)
    text += "line " + std::to_string(i * 2654435761u) + ", of many\n";
  text.resize(size);
  return text;
}

}  // namespace

TEST_CASE("what is compressed comes out again, whatever the sizes", "[deflate]") {
  for (int level : {1, 5, 9}) {
    for (int window : {9, 12, 15}) {
      for (std::size_t size : {0, 1, 100, 70000, 1000000}) {
        INFO(level << " " << window << " " << size);
        const std::string text = sample(size);
        auto deflater = Deflater::take(level, window);
        REQUIRE(deflater != nullptr);
        std::string packed;
        for (std::size_t at = 0; at < size; at += 33333) {
          feed(*deflater, std::string_view(text).substr(at, 33333), Flush::none, size > 1000 ? 4096 : 7,
               packed);
        }
        feed(*deflater, {}, Flush::finish, 64, packed);
        CHECK(inflate_gzip(packed) == text);
        Deflater::give_back(std::move(deflater));
      }
    }
  }
}

TEST_CASE("a flush makes everything so far readable", "[deflate]") {
  for (int level : {1, 6}) {
    auto deflater = Deflater::take(level, 15);
    const std::string text = sample(5000);
    std::string packed;
    feed(*deflater, text, Flush::sync, 100, packed);
    CHECK(inflate_gzip(packed, false) == text);
    feed(*deflater, text, Flush::sync, 100, packed);
    CHECK(inflate_gzip(packed, false) == text + text);
    feed(*deflater, {}, Flush::finish, 100, packed);
    CHECK(inflate_gzip(packed) == text + text);
  }
}

TEST_CASE("level 1 is at least as dense as zlib's", "[deflate]") {
  const std::string text = sample(65536);
  auto deflater = Deflater::take(1, 15);
  std::string packed;
  feed(*deflater, text, Flush::finish, 4096, packed);
  uLongf size = compressBound(text.size());
  std::string other(size, '\0');
  REQUIRE(compress2(reinterpret_cast<Bytef*>(other.data()), &size,
                    reinterpret_cast<const Bytef*>(text.data()), text.size(), 1) == Z_OK);
  CHECK(packed.size() <= size + 18);
}

TEST_CASE("a whole body comes out again, and is about as small as zlib makes it", "[deflate]") {
  for (int level = 2; level <= 9; ++level) {
    for (std::size_t size : {0, 1, 20, 1000, 16384, 131072}) {
      INFO(level << " " << size);
      const std::string text = sample(size);
      std::string packed;
      REQUIRE(deflate_whole(level, text, packed));
      CHECK(inflate_gzip(packed) == text);
      auto deflater = Deflater::take(level, 15);
      std::string streamed;
      feed(*deflater, text, Flush::finish, 4096, streamed);
      Deflater::give_back(std::move(deflater));
      CHECK(packed.size() <= streamed.size() + streamed.size() / 20 + 4);
    }
  }
}

TEST_CASE("a whole body that cannot be made smaller", "[deflate]") {
  std::string noise(100000, '\0');
  unsigned state = 1;
  for (char& c : noise) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  std::string packed;
  REQUIRE(deflate_whole(6, noise, packed));
  CHECK(inflate_gzip(packed) == noise);
  CHECK(packed.size() < noise.size() + 100);
}

TEST_CASE("buffers come back empty", "[deflate]") {
  auto buffers = DeflateBuffers::take();
  buffers->in = sample(1000);
  buffers->out = sample(1000000);
  const DeflateBuffers* const same = buffers.get();
  DeflateBuffers::give_back(std::move(buffers));
  buffers = DeflateBuffers::take();
  CHECK(buffers.get() == same);
  CHECK(buffers->in.empty());
  CHECK(buffers->out.empty());
  CHECK(buffers->out.capacity() < 1000);
}
