// HpackEncoder: the fields of responses, as header blocks (RFC 7541). What is the same in most responses of a
// connection goes into the client's table, and is one byte from then on; everything else is sent as it is.
// Owned by a session; must see every block in the order in which they are sent.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "http/header_id.hpp"
#include "proto/h2/hpack_table.hpp"

namespace mp::proto {

class HpackEncoder {
 public:
  // SETTINGS_HEADER_TABLE_SIZE of the client.
  void set_table_size(std::size_t size);

  // Each writes at `p` and returns the place behind; see room().
  char* begin(char* p) { return update_size_ ? put_sizes(p) : p; }
  char* status(char* p, int status);
  char* field(char* p, http::HeaderId id, std::string_view value);      // id: not unknown
  char* field(char* p, std::string_view name, std::string_view value);  // the name is made lower case
  char* number(char* p, http::HeaderId id, std::int64_t value);

  // What a field can take at most, and what begin() and status() together can.
  static constexpr std::size_t room(std::size_t name, std::size_t value) { return name + value + 12; }
  static constexpr std::size_t kFirstRoom = 16;

 private:
  // A field in the client's table. As many are known here as fit in there at least, however long they are.
  struct Entry {
    std::uint8_t id;
    std::uint8_t size;
    char value[62];
  };
  static constexpr unsigned kEntries = 16;  // a power of two
  static constexpr std::size_t kMostSize = kEntries * (sizeof(Entry::value) + 32 + kHpackOverhead);
  static_assert(kMostSize <= kHpackTable);

  char* put_sizes(char* p);
  char* put_new(char* p, http::HeaderId id, std::string_view value);
  char* put_literal(char* p, unsigned first, unsigned prefix, http::HeaderId id, std::string_view value);
  bool is(std::uint32_t number, http::HeaderId id, std::string_view value) const;
  void forget();

  std::unique_ptr<Entry[]> entries_;  // a ring; made with the first
  std::uint32_t added_ = 0;
  std::array<std::uint32_t, http::kHeaderIdCount> last_ =
      {};                              // by id: what added_ was behind the newest; 0: none
  std::uint16_t limit_ = kHpackTable;  // of the client's table
  std::uint16_t smallest_ = kHpackTable;
  bool update_size_ = false;  // the next block says so first
};

}  // namespace mp::proto
