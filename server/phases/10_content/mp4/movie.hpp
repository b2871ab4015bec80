// A movie cut to a part of its time: new boxes for the head, and the range of the file that holds the
// samples.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "http/request.hpp"
#include "phases/10_content/mp4/track.hpp"

namespace mp::phases::mp4 {

struct Part {
  std::string head;  // ftyp, moov, and the header of mdat
  std::int64_t offset = 0;
  std::int64_t size = 0;
};

// The boxes of a movie that a part is made of. Views into memory that the caller keeps.
struct Layout {
  std::string_view ftyp;  // contents; may be empty
  std::string_view moov;
  std::uint64_t media_end = 0;  // behind the last byte of mdat
};

// What lies in the part, without a look at the file.
Result<Part> make_part(const Layout& layout, const Cut& cut);

struct Buffers {
  std::size_t usual;  // bytes: what is read at once
  std::size_t most;   // for the moov box
};

// Reads what it needs of an open file of `size` bytes. Nothing when the part is the whole file, as it is;
// parks when the file has to come from the disk.
Result<std::optional<Part>> cut_file(http::Request& request, int fd, std::int64_t size,
                                     const Buffers& buffers, const Cut& cut);

}  // namespace mp::phases::mp4
