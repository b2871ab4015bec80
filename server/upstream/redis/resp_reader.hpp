// RespReader: finds the end of replies in Redis' protocol (RESP), which comes in pieces of any size. Keeps
// nothing of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mp::upstream {

class RespReader {
 public:
  // Waits for `replies` whole replies.
  explicit RespReader(std::uint64_t replies) : pending_(replies) {}

  enum class State : std::uint8_t { more, done, invalid };

  // Reads on. `consumed`: how much of `data` belongs to the replies.
  State feed(std::string_view data, std::size_t& consumed);

 private:
  bool begin(char type);
  bool end_line();

  std::uint64_t pending_;    // replies that have not begun, those inside of arrays included
  std::uint64_t blob_ = 0;   // bytes of a string to come, its line end included
  std::int64_t number_ = 0;  // of the line being read
  bool negative_ = false;
  bool digits_ = false;
  bool in_line_ = false;
  bool carriage_return_ = false;
  char type_ = 0;
};

}  // namespace mp::upstream
