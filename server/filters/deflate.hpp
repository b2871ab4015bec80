// Deflater: one gzip stream being compressed. Its memory (some 300 KB) is the largest a request can take, so
// finished ones are kept by the worker for the next. Level 1 is ISA-L's: denser than zlib's level 1 in a
// quarter of the time; zlib does the others.
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

  // Scratch space of whoever uses the stream; kept with it.
  std::string out;
  std::unique_ptr<char[]> read_buffer;
  static constexpr std::size_t kReadSize = 32 * 1024;

 protected:
  Deflater(int level, int window_bits) : level_(level), window_bits_(window_bits) {}

 private:
  int level_;
  int window_bits_;
};

}  // namespace mp::filters
