// Compresses bodies that are there as a whole to the format deflate (RFC 1951): as small as zlib does at
// levels 4 to 9, in about half of the time. A worker keeps one, of 200 KB, which serves all levels; nothing
// is allocated for a body.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "filters/pack/blocks.hpp"
#include "filters/pack/finder.hpp"

namespace mp::filters::pack {

class Packer {
 public:
  static constexpr int kLeastLevel = 4;
  static constexpr int kMostLevel = 9;

  Packer();

  // Compresses a body of less than 4 GB as zlib's `level` would. What was made stays until the next call.
  std::string_view pack(int level, std::string_view body);

 private:
  template <unsigned kEights>
  void find_steps(int level, std::string_view body);

  std::vector<Positions> table_;
  Blocks blocks_;
  std::vector<Byte> room_;  // for what the largest body so far may make
};

}  // namespace mp::filters::pack
