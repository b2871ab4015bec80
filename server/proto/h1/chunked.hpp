// Chunked transfer coding (RFC 9112 7.1): an incremental decoder that copies nothing, and the encoder's
// chunk headers. Line ends are CR LF only; sizes, extensions and trailers are bounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "http/field_list.hpp"

namespace mp::proto {

struct ChunkedOptions {
  std::size_t max_extension = 1024;    // bytes of chunk extensions in one chunk line
  std::uint64_t max_overhead = 65536;  // bytes of extensions in the whole body
  std::size_t max_trailers = 8192;     // bytes of the trailer section
  unsigned max_trailer_fields = 100;
};

class ChunkedDecoder {
 public:
  enum class Event : std::uint8_t {
    need_more,  // all input was used; the body goes on
    data,       // data() is payload, inside the input
    done,       // the last chunk and the trailers were read; consumed() ends exactly there
    error,
  };

  explicit ChunkedDecoder(const ChunkedOptions& options = {}) : options_(options) {}

  // Reads from the front of `input` until there is something to tell. consumed() bytes of it are
  // finished with (payload included): call again with the rest until need_more.
  Event next(std::string_view input);
  std::size_t consumed() const { return consumed_; }
  std::string_view data() const { return data_; }

  // All of `size` bytes at `buffer` at once: payload is moved to its front. Returns need_more (used all of
  // it), done or error; *payload is the payload's size, consumed() what belonged to the body.
  Event decode_in_place(char* buffer, std::size_t size, std::size_t* payload);

  std::uint64_t total() const { return total_; }  // payload bytes so far
  // With what the chunk that has begun still has.
  std::uint64_t announced() const { return total_ + (state_ == State::payload ? left_ : 0); }
  std::uint64_t chunk() const { return chunk_; }  // the size of the last chunk that has begun
  // At least this much must still come before done: a hint for how far to read.
  std::uint64_t at_least() const;

  // After done: the trailer fields are added to `fields`; the text is copied into `arena`.
  // Fields that would change framing, routing or identity (Content-Length, Host, ...) are left out.
  void trailers(Arena& arena, http::FieldList& fields) const;
  bool has_trailers() const { return !trailer_.empty(); }

 private:
  enum class State : std::uint8_t {
    size_start,
    size,
    size_blank,
    extension,
    size_lf,
    payload,
    payload_cr,
    payload_lf,
    trailer_start,
    trailer_name,
    trailer_value,
    trailer_lf,
    end_lf,
    done,
    error,
  };
  bool step(char c);
  bool step_size(char c);
  bool step_trailer(char c);
  bool keep_trailer(char c);

  ChunkedOptions options_;
  State state_ = State::size_start;
  std::uint64_t left_ = 0;  // of the chunk
  std::uint64_t chunk_ = 0;
  std::uint64_t total_ = 0;
  std::uint64_t overhead_ = 0;
  std::size_t extension_ = 0;
  unsigned digits_ = 0;
  unsigned trailer_fields_ = 0;
  std::size_t consumed_ = 0;
  std::string_view data_;
  std::string trailer_;  // complete trailer lines, each ended by '\n'
};

inline constexpr std::size_t kMaxChunkHead = 18;
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

// Writes "1a2b\r\n"; at most kMaxChunkHead bytes. Returns the end. `size` is not 0.
char* write_chunk_head(char* out, std::uint64_t size);

}  // namespace mp::proto
