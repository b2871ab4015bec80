// Until: the search of sock:receiveuntil() for its pattern, across as many reads as it takes (Knuth, Morris
// and Pratt). Belongs to the iterator that the script holds.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
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
  // Takes bytes in; `used` of them belong to this piece. True when the piece is complete.
  bool feed(std::string_view bytes, std::size_t& used, Piece& piece);

  // True, once, after a match that ended a limited piece: the iterator reports the end.
  bool take_end() {
    if (state_ >= 0) return false;
    state_ = 0;
    return true;
  }

 private:
  // Adds what is certain not to belong to the pattern; true when the piece is full.
  static bool add(Piece& piece, std::string_view text);

  std::string pattern_;
  std::vector<int> fail_;  // the longest proper prefix that is a suffix, by length
  bool inclusive_;
  int state_ = 0;  // how much of the pattern has matched; -1: the end is to be reported
};

}  // namespace mp::lua
