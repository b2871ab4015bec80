// What compresses responses, in the format gzip. Deflater: a stream being compressed, piece by piece. Its
// memory (some 300 KB) is the largest a request can take, so finished ones are kept by the worker for the
// next. Level 1 is ISA-L's: denser than zlib's level 1 in a quarter of the time; zlib does the others.
// deflate_whole(): a body that is at hand as a whole, in one call.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace mp::filters {

class Deflater {
 public:
  enum class Flush : unsigned char { none, sync, finish };
  enum class Result : unsigned char {
    drained,  // all input is used, and what can come out has
    more,     // the room was full: call again
    failed,
  };

  // Null when memory is short. `window_bits`: 9 to 15.
  static std::unique_ptr<Deflater> take(int level, int window_bits);
  static void give_back(std::unique_ptr<Deflater> deflater);

  virtual ~Deflater() = default;
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  // Takes from the front of `input`, writes to `room`; `made` is how much.
  virtual Result run(std::string_view& input, Flush flush, std::span<char> room, std::size_t& made) = 0;
  virtual bool reset() = 0;

 protected:
  Deflater(int level, int window_bits) : level_(level), window_bits_(window_bits) {}

 private:
  int level_;
  int window_bits_;
};

// Writes `body`, compressed, to the empty `out`. About as small as what zlib makes at this level (2 to 9), in
// about half of the time. Levels 2 and 3 are libdeflate's first, the others those of pack::Packer. False when
// memory is short.
bool deflate_whole(int level, std::string_view body, std::string& out);

// The bytes of one response before and after. Kept by the worker like streams.
struct DeflateBuffers {
  std::string in;
  std::string out;

  static std::unique_ptr<DeflateBuffers> take();
  static void give_back(std::unique_ptr<DeflateBuffers> buffers);
};

}  // namespace mp::filters
