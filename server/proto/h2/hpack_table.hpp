// The tables of HPACK (RFC 7541 section 2.3): the fields that everybody knows, and those that one side of a
// connection has told the other to remember. What this server knows of a field is remembered with it: the id
// of its name, and whether its text was found in order, so that neither is looked at again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "http/header_id.hpp"

namespace mp::proto {

enum class H2Pseudo : std::uint8_t { none, method, path, scheme, authority, protocol, other };

// What is known of a field by its name alone.
struct HpackName {
  std::string_view text;
  http::HeaderId id = http::HeaderId::unknown;  // only of a name that is written in lower case
  H2Pseudo pseudo = H2Pseudo::none;
  bool constant = false;  // the text is: it stays for ever
};
HpackName hpack_name(std::string_view text);

inline constexpr std::size_t kHpackStatic = 61;
inline constexpr std::size_t kHpackTable = 4096;   // bytes, as long as nobody has said otherwise
inline constexpr std::size_t kHpackOverhead = 32;  // of an entry

struct HpackStatic {
  HpackName name;
  std::string_view value;
};
const HpackStatic& hpack_static(std::size_t index);  // 1 to kHpackStatic
unsigned hpack_static_name(http::HeaderId id);       // 0: it is not there

// The fields that a peer's encoder has put into its table. Nothing is allocated before the first one.
class HpackTable {
 public:
  struct Entry {
    const char* constant;  // the name, when it is one; otherwise it lies in front of the value
    std::uint32_t at;
    std::uint16_t name_size;
    std::uint16_t value_size;
    http::HeaderId id;
    H2Pseudo pseudo;
    bool sound;  // for whoever reads the fields: there is nothing wrong with name and value
  };

  // The newest is 0. Null: there is no such.
  Entry* find(std::size_t index) {
    return index < count_ ? &entries_[(next_ - 1 - index) & (capacity_ - 1)] : nullptr;
  }
  HpackName name(const Entry& entry) const {
    const char* text = entry.constant != nullptr ? entry.constant : bytes_.get() + entry.at;
    return {{text, entry.name_size}, entry.id, entry.pseudo, entry.constant != nullptr};
  }
  std::string_view value(const Entry& entry) const {
    const std::size_t name = entry.constant != nullptr ? 0 : entry.name_size;
    return {bytes_.get() + entry.at + name, entry.value_size};
  }

  // The name may be that of an entry. Null: the field is larger than the table, which is empty now.
  Entry* add(const HpackName& name, std::string_view value);
  void resize(std::size_t limit);  // at most kHpackTable
  std::size_t count() const { return count_; }
  std::size_t size() const { return size_; }

 private:
  static std::size_t size_of(const Entry& e) {
    return e.name_size + std::size_t{e.value_size} + kHpackOverhead;
  }
  void evict(std::size_t limit);
  void make_place();
  void make_room(std::size_t bytes);

  std::unique_ptr<Entry[]> entries_;  // a ring
  std::size_t capacity_ = 0;          // of it: a power of two
  std::size_t next_ = 0;
  std::size_t count_ = 0;
  std::unique_ptr<char[]> bytes_;  // texts, the oldest first
  std::size_t room_ = 0;
  std::size_t end_ = 0;
  std::size_t size_ = 0;  // as HPACK counts
  std::size_t limit_ = kHpackTable;
};

}  // namespace mp::proto
