#include "upstream/redis/resp_reader.hpp"

#include <string>

#include <catch2/catch.hpp>

using namespace mp::upstream;
using State = RespReader::State;

namespace {

// The state after `text` came in pieces of `step` bytes, and how much of it belongs to the replies.
State feed(std::string_view text, std::uint64_t replies, std::size_t step, std::size_t& used) {
  RespReader reader(replies);
  State state = State::more;
  used = 0;
  while (state == State::more && used < text.size()) {
    std::size_t consumed = 0;
    state = reader.feed(text.substr(used, step), consumed);
    used += consumed;
  }
  return state;
}

}  // namespace

TEST_CASE("resp: the end of replies, however they are cut", "[upstream][redis]") {
  const std::pair<std::string, int> rows[] = {
      {"+OK\r\n", 1},
      {"-ERR what\r\n", 1},
      {":-12\r\n", 1},
      {"$3\r\na\r\n\r\n", 1},
      {"$0\r\n\r\n", 1},
      {"$-1\r\n", 1},
      {"*-1\r\n", 1},
      {"*0\r\n", 1},
      {"*3\r\n:1\r\n*2\r\n$1\r\nx\r\n$-1\r\n+y\r\n", 1},
      {"+OK\r\n$2\r\nab\r\n*1\r\n*1\r\n*0\r\n", 3},
  };
  for (const auto& [text, replies] : rows) {
    for (std::size_t step = 1; step <= text.size(); ++step) {
      INFO(text);
      std::size_t used = 0;
      CHECK(feed(text, static_cast<std::uint64_t>(replies), step, used) == State::done);
      CHECK(used == text.size());
    }
    std::size_t used = 0;
    CHECK(feed(text.substr(0, text.size() - 1), static_cast<std::uint64_t>(replies), 100, used) ==
          State::more);
    CHECK(feed(text + "+more\r\n", static_cast<std::uint64_t>(replies), 100, used) == State::done);
    CHECK(used == text.size());
  }
}

TEST_CASE("resp: what is no reply", "[upstream][redis]") {
  for (const char* text : {"OK\r\n", "\r\n", "+OK\n", "$x\r\n", "$\r\n", "$-2\r\n", "$1-\r\n", "$1\rx\n",
                           "*99999999999\r\n", "$99999999999999999999999\r\n", "*1\r\nx"}) {
    INFO(text);
    std::size_t used = 0;
    CHECK(feed(text, 1, 100, used) == State::invalid);
  }
}
