// Until: the search of sock:receiveuntil() for its pattern, across as many reads as it takes (Knuth, Morris
// and Pratt). Belongs to the iterator that the script holds.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mp::lua {

class Until {
 public:
  Until(std::string_view pattern, bool inclusive);

  // One result of the iterator: at most `limit` bytes where that is not 0. What a partial match withheld
  // comes whole when it turns out to be none, so a result may be longer.
  struct Piece {
    std::size_t limit = 0;
    std::size_t rest = 0;
    std::string text;
  };
  // Takes bytes in; `used` of them belong to this piece. True when the piece is complete. Bytes that may
  // begin the pattern stay where they are, in front of what comes: whoever reads next finds them, this search
  // again or another call.
  bool feed(std::string_view bytes, std::size_t& used, Piece& piece);

  // True, once, after a match that ended a limited piece: the iterator reports the end.
  bool take_end() { return std::exchange(at_end_, false); }

 private:
  // Adds what is certain not to belong to the pattern; true when the piece is full.
  static bool add(Piece& piece, std::string_view text);

  std::string pattern_;
  std::vector<std::size_t> fail_;  // the longest proper prefix that is a suffix, by length
  bool inclusive_;
  bool at_end_ = false;  // the end is to be reported
};

}  // namespace mp::lua
