// HpackReader: the fields of one whole header block (RFC 7541 section 6), one after the other. What had to be
// decoded lies in the arena; everything else is a view of the block or of the table.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/arena.hpp"
#include "proto/h2/hpack_table.hpp"

namespace mp::proto {

struct HpackField {
  HpackName name;
  std::string_view value;
  bool name_lasts = false;  // as long as the arena, at least
  bool value_lasts = false;
  bool sound = false;  // it was accepted before
};

class HpackReader {
 public:
  HpackReader(HpackTable& table, std::string_view block, Arena& arena)
      : table_(table), p_(block.data()), end_(p_ + block.size()), arena_(arena) {}

  // False at the end of the block, and where it cannot be read: see broken(). The views are valid until the
  // next call.
  bool next(HpackField& field);
  // The field that came last is in order, wherever it comes again.
  void accept() {
    if (entry_ != nullptr) entry_->sound = true;
  }
  bool broken() const { return broken_; }

 private:
  bool read_indexed(HpackField& field);
  bool read_literal(HpackField& field, unsigned prefix, bool keep);
  bool read_integer(unsigned prefix, std::size_t& value);
  bool read_more(std::size_t& value);
  bool read_string(std::string_view& text, bool& lasting);
  bool change_size();
  bool fail() {
    broken_ = true;
    return false;
  }

  HpackTable& table_;
  const char* p_;
  const char* end_;
  Arena& arena_;
  HpackTable::Entry* entry_ = nullptr;  // where the last field is remembered
  bool begun_ = false;                  // a field has come: no change of size any more
  bool broken_ = false;
};

}  // namespace mp::proto
