#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "proto/h2/hpack_decoder.hpp"
#include "proto/h2/hpack_encoder.hpp"
#include "proto/h2/huffman.hpp"

using mp::Arena;
using mp::http::HeaderId;
using mp::proto::HpackEncoder;
using mp::proto::HpackField;
using mp::proto::HpackReader;
using mp::proto::HpackTable;

namespace {

std::string bytes(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    if (hex[i] == ' ')
      --i;
    else
      out.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return out;
}

// "name: value" lines; "broken" behind those that came before a mistake.
std::string read(HpackTable& table, std::string_view block) {
  Arena arena;
  HpackReader reader(table, block, arena);
  HpackField field;
  std::string out;
  while (reader.next(field)) out.append(field.name.text).append(": ").append(field.value).append("\n");
  return reader.broken() ? out + "broken" : out;
}
std::string read_once(std::string_view hex) {
  HpackTable table;
  return read(table, bytes(hex));
}

std::string huffman(std::string_view hex) {
  const std::string coded = bytes(hex);
  std::string room(mp::proto::huffman_room(coded.size()), '\0');
  const char* const end = mp::proto::huffman_decode(coded, room.data());
  return end == nullptr ? "broken" : room.substr(0, static_cast<std::size_t>(end - room.data()));
}

}  // namespace

TEST_CASE("HPACK: the examples of RFC 7541 appendix C.2", "[h2]") {
  CHECK(read_once("400a637573746f6d2d6b65790d637573746f6d2d686561646572") == "custom-key: custom-header\n");
  CHECK(read_once("040c2f73616d706c652f70617468") == ":path: /sample/path\n");
  CHECK(read_once("100870617373776f726406736563726574") == "password: secret\n");
  CHECK(read_once("82") == ":method: GET\n");
}

TEST_CASE("HPACK: the requests of RFC 7541 appendices C.3 and C.4", "[h2]") {
  const bool coded = GENERATE(false, true);
  HpackTable table;
  CHECK(read(table, bytes(coded ? "828684418cf1e3c2e5f23a6ba0ab90f4ff"
                                : "828684410f7777772e6578616d706c652e636f6d")) ==
        ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\n");
  CHECK(table.size() == 57);
  CHECK(read(table, bytes(coded ? "828684be5886a8eb10649cbf" : "828684be58086e6f2d6361636865")) ==
        ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\ncache-control: no-cache\n");
  CHECK(table.size() == 110);
  CHECK(read(table, bytes(coded ? "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf"
                                : "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565")) ==
        ":method: GET\n:scheme: https\n:path: /index.html\n:authority: www.example.com\n"
        "custom-key: custom-value\n");
  CHECK(table.size() == 164);
  CHECK(table.count() == 3);
}

TEST_CASE("HPACK: the responses of RFC 7541 appendices C.5 and C.6, with a small table", "[h2]") {
  const bool coded = GENERATE(false, true);
  HpackTable table;
  table.resize(256);
  CHECK(read(table, bytes(coded ? "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e91"
                                  "9d29ad171863c78f0b"
                                  "97c8e9ae82ae43d3"
                                : "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31"
                                  "333a323120474d546e"
                                  "1768747470733a2f2f7777772e6578616d706c652e636f6d")) ==
        ":status: 302\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT\n"
        "location: https://www.example.com\n");
  CHECK(table.size() == 222);
  CHECK(read(table, bytes(coded ? "4883640effc1c0bf" : "4803333037c1c0bf")) ==
        ":status: 307\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT\n"
        "location: https://www.example.com\n");
  CHECK(table.size() == 222);
  CHECK(
      read(
          table,
          bytes(
              coded
                  ? "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b3"
                    "35dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007"
                  : "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f"
                    "6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b"
                    "2076657273696f6e3d31")) ==
      ":status: 200\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:22 GMT\n"
      "location: https://www.example.com\ncontent-encoding: gzip\n"
      "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1\n");
  CHECK(table.size() == 215);
  CHECK(table.count() == 3);
}

TEST_CASE("HPACK: what RFC 7541 does not allow is refused", "[h2]") {
  CHECK(read_once("80") == "broken");                  // 6.1: index 0
  CHECK(read_once("be") == "broken");                  // 2.3.3: beyond both tables
  CHECK(read_once("7f00") == "broken");                // ... of a name
  CHECK(read_once("82ff") == ":method: GET\nbroken");  // 5.1: an integer without its end
  CHECK(read_once("ffffffffff7f") == "broken");        // 5.1: larger than anything
  CHECK(read_once("ff808080808000") == "broken");      // 5.1: longer than any
  CHECK(read_once("41") == "broken");                  // 5.2: no string
  CHECK(read_once("4105616263") == "broken");          // 5.2: longer than the block
  CHECK(read_once("00") == "broken");
  CHECK(read_once("000161") == "broken");
  CHECK(read_once("3fe21f") == "broken");              // 6.3: larger than the settings say: 4097
  CHECK(read_once("8220") == ":method: GET\nbroken");  // 4.2: not in front
  CHECK(read_once("3fe11f82") == ":method: GET\n");
  CHECK(read_once("203fe11f82") == ":method: GET\n");
}

TEST_CASE("Huffman strings must be whole and end as they have to", "[h2]") {
  CHECK(huffman("f1e3c2e5f23a6ba0ab90f4ff") == "www.example.com");
  CHECK(huffman("").empty());
  CHECK(huffman("1f") == "a");             // 00011 and three ones
  CHECK(huffman("1c") == "broken");        // 5.2: padding is ones
  CHECK(huffman("1fff") == "broken");      // 5.2: eleven of them
  CHECK(huffman("ffffffff") == "broken");  // 5.2: the end of a string in it
  CHECK(huffman("ff") == "");              // a whole byte where codes end with one, as in nginx
  CHECK(huffman("ffff") == "broken");
  CHECK(huffman("fffffff3ff") == "broken");
  CHECK(huffman("1d75d0620d263d4c4d6564ff") == "application/grpc");
  CHECK(huffman("fffffff3") == "\n");  // 30 bits: nothing is longer
}

TEST_CASE("HPACK: the table forgets the oldest, and all of it for one too large", "[h2]") {
  HpackTable table;
  table.resize(100);
  CHECK(read(table, bytes("400161013140016201324001630133")) == "a: 1\nb: 2\nc: 3\n");
  CHECK(table.count() == 2);
  CHECK(read(table, bytes("bebf")) == "c: 3\nb: 2\n");
  CHECK(read(table, bytes("c0")) == "broken");
  // The name of an entry that makes room for the new one.
  CHECK(read(table, bytes("7f000134be")) == "b: 4\nb: 4\n");
  const std::string large = std::string("\x40\x01x\x7f", 4) + '\x00' + std::string(127, 'y');
  CHECK(read(table, large) == "x: " + std::string(127, 'y') + "\n");
  CHECK(table.count() == 0);
  CHECK(table.size() == 0);
}

TEST_CASE("HPACK: the table stays right however often it goes round", "[h2]") {
  HpackTable table;
  std::vector<std::pair<std::string, std::string>> added;
  std::size_t kept = 0;
  for (unsigned i = 0; i < 3000; ++i) {
    const std::string name = i % 3 == 0 ? "accept" : "n" + std::to_string(i);
    const std::string value(i * 7 % 200, static_cast<char>('a' + i % 26));
    REQUIRE(table.add(mp::proto::hpack_name(name), value) != nullptr);
    added.emplace_back(name, value);
    std::size_t size = 0;
    kept = 0;
    while (kept < added.size()) {
      const auto& [n, v] = added[added.size() - 1 - kept];
      if (size + n.size() + v.size() + 32 > 4096) break;
      size += n.size() + v.size() + 32;
      ++kept;
    }
    REQUIRE(table.count() == kept);
    REQUIRE(table.size() == size);
    for (std::size_t k = 0; k < kept; ++k) {
      const HpackTable::Entry* entry = table.find(k);
      REQUIRE(table.name(*entry).text == added[added.size() - 1 - k].first);
      REQUIRE(table.value(*entry) == added[added.size() - 1 - k].second);
    }
    REQUIRE(table.find(kept) == nullptr);
  }
}

TEST_CASE("HPACK: what was accepted is known when it comes again", "[h2]") {
  HpackTable table;
  Arena arena;
  const auto next = [&](std::string_view hex, bool accept) {
    const std::string block = bytes(hex);
    HpackReader reader(table, block, arena);
    HpackField field;
    REQUIRE(reader.next(field));
    if (accept) reader.accept();
    return field.sound;
  };
  CHECK_FALSE(next("400161013140016201", false));
  CHECK_FALSE(next("be", true));
  CHECK(next("be", false));
  CHECK_FALSE(next("400161013140016201", true));  // the same text again is another entry
  CHECK(next("be", false));
  CHECK_FALSE(next("000161013140016201", true));
  CHECK(next("82", false));
  const std::string upper = bytes("400441636365017a");  // "Acce"
  HpackReader reader(table, upper, arena);
  HpackField field;
  REQUIRE(reader.next(field));
  CHECK(field.name.id == HeaderId::unknown);
  CHECK(mp::proto::hpack_name("accept").id == HeaderId::accept);
  CHECK(mp::proto::hpack_name("Accept").id == HeaderId::unknown);
}

namespace {

struct Writer {
  HpackEncoder encoder;
  HpackTable table;
  std::size_t size = 0;  // of the last block

  std::string write(int status, const std::vector<std::pair<HeaderId, std::string>>& fields) {
    char block[4096];
    char* p = encoder.status(encoder.begin(block), status);
    for (const auto& [id, value] : fields) p = encoder.field(p, id, value);
    size = static_cast<std::size_t>(p - block);
    return read(table, {block, size});
  }
};

}  // namespace

TEST_CASE("HPACK: what is the same in every response is one byte the second time", "[h2]") {
  Writer w;
  const std::vector<std::pair<HeaderId, std::string>> fields = {
      {HeaderId::server, "moonphase"}, {HeaderId::content_type, "text/html"}, {HeaderId::etag, "\"1-2\""}};
  const std::string text = ":status: 200\nserver: moonphase\ncontent-type: text/html\netag: \"1-2\"\n";
  CHECK(w.write(200, fields) == text);
  CHECK(w.size > 20);
  CHECK(w.write(200, fields) == text);
  CHECK(w.size == 3 + 2 + 1 + 5);  // three indices; a name, a length and a value
  CHECK(w.write(200, {{HeaderId::content_type, "text/css"}}) == ":status: 200\ncontent-type: text/css\n");
  CHECK(w.write(200, {{HeaderId::content_type, "text/html"}}) == ":status: 200\ncontent-type: text/html\n");
  CHECK(w.size == 2);
  CHECK(w.write(418, {}) == ":status: 418\n");
  CHECK(w.write(304, {{HeaderId::x_request_id, ""}}) == ":status: 304\nx-request-id: \n");
  const std::string longer(63, 'x');
  CHECK(w.write(500, {{HeaderId::server, longer}}) == ":status: 500\nserver: " + longer + "\n");
  CHECK(w.table.count() == 3);
}

TEST_CASE("HPACK: more values than are kept, again and again", "[h2]") {
  Writer w;
  for (int i = 0; i < 500; ++i) {
    const std::string type = "type/" + std::to_string(i * 7 % (i < 200 ? 23 : 5));
    const std::string date = "now " + std::to_string(i / 40);
    REQUIRE(w.write(200, {{HeaderId::date, date}, {HeaderId::content_type, type}}) ==
            ":status: 200\ndate: " + date + "\ncontent-type: " + type + "\n");
  }
}

TEST_CASE("HPACK: the client's table may become smaller and larger", "[h2]") {
  Writer w;
  CHECK(w.write(200, {{HeaderId::server, "m"}}) == ":status: 200\nserver: m\n");
  w.encoder.set_table_size(0);
  CHECK(w.write(200, {{HeaderId::server, "m"}}) == ":status: 200\nserver: m\n");
  CHECK(w.table.count() == 0);
  CHECK(w.write(200, {{HeaderId::server, "m"}}) == ":status: 200\nserver: m\n");
  CHECK(w.size == 1 + 5 - 1);
  w.encoder.set_table_size(100);
  w.encoder.set_table_size(1 << 20);
  CHECK(w.write(200, {{HeaderId::server, "m"}}) == ":status: 200\nserver: m\n");
  CHECK(w.write(200, {{HeaderId::server, "m"}}) == ":status: 200\nserver: m\n");
  CHECK(w.size == 2);
}

TEST_CASE("HPACK: names are sent in lower case", "[h2]") {
  Writer w;
  char block[256];
  char* const p = w.encoder.field(block, "X-Some-Name", "Value");
  CHECK(read(w.table, {block, static_cast<std::size_t>(p - block)}) == "x-some-name: Value\n");
}
