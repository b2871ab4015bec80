// H2FrameReader: cuts what a client sends into frames. Bodies are handed on as they come, and so is what
// nobody knows; any other frame as a whole, from where it was read to if it came in one piece. Owned by a
// session; memory is held only while a frame has come in part, and never more than the lengths that the
// session lets pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "proto/h2/protocol.hpp"

namespace mp::proto {

class H2FrameReader {
 public:
  enum class Event : std::uint8_t {
    none,    // all of the bytes are used
    begins,  // head() is known; whoever does not want the frame stops reading
    data,    // payload() is a part, without padding; complete() when it is the last of its frame
    whole,   // payload() is all of it
  };

  // Takes what it uses from the front of `bytes`. Views are valid until the next call, and as long as
  // `bytes`.
  Event next(std::string_view& bytes);

  const H2FrameHead& head() const { return head_; }
  std::string_view payload() const { return payload_; }
  bool complete() const { return left_ == 0; }
  // Of a body's frame that is complete: bytes that were not handed on.
  std::uint32_t padding() const { return padding_; }
  // The beginning of a frame of this type has come, and not its end.
  bool holds(H2Type type) const { return began_ && left_ > 0 && head_.type == type; }

 private:
  bool read_head(std::string_view& bytes);
  Event read_data(std::string_view& bytes);
  bool read_pad_length(std::string_view& bytes);

  H2FrameHead head_;
  bool began_ = false;
  bool pad_known_ = false;
  bool held_given_ = false;     // held_ is what payload() shows
  std::uint8_t head_size_ = 0;  // of head_bytes_
  std::uint32_t left_ = 0;      // of the frame, padding included
  std::uint32_t padding_ = 0;   // pad length field included
  char head_bytes_[kH2FrameHead];
  std::string_view payload_;
  std::string held_;
};

}  // namespace mp::proto
