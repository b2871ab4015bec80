#include "proto/h2/hpack_decoder.hpp"

#include "proto/h2/huffman.hpp"

namespace mp::proto {

bool HpackReader::next(HpackField& field) {
  while (p_ != end_) {
    const auto first = static_cast<unsigned char>(*p_);
    if ((first & 0x80) != 0) {
      begun_ = true;
      return read_indexed(field);
    }
    if ((first & 0xe0) != 0x20) {
      begun_ = true;
      const bool keep = (first & 0x40) != 0;
      return read_literal(field, keep ? 6 : 4, keep);
    }
    if (!change_size()) return false;
  }
  return false;
}

bool HpackReader::read_indexed(HpackField& field) {
  std::size_t index = 0;
  if (!read_integer(7, index) || index == 0) return fail();
  if (index <= kHpackStatic) {
    const HpackStatic& row = hpack_static(index);
    entry_ = nullptr;
    field = {row.name, row.value, true, true, true};
    return true;
  }
  entry_ = table_.find(index - kHpackStatic - 1);
  if (entry_ == nullptr) return fail();
  field = {table_.name(*entry_), table_.value(*entry_), entry_->constant != nullptr, false, entry_->sound};
  return true;
}

bool HpackReader::read_literal(HpackField& field, unsigned prefix, bool keep) {
  std::size_t index = 0;
  if (!read_integer(prefix, index)) return fail();
  if (index == 0) {
    std::string_view text;
    if (!read_string(text, field.name_lasts)) return fail();
    field.name = hpack_name(text);
  } else if (index <= kHpackStatic) {
    field.name = hpack_static(index).name;
    field.name_lasts = false;
  } else {
    const HpackTable::Entry* named = table_.find(index - kHpackStatic - 1);
    if (named == nullptr) return fail();
    field.name = table_.name(*named);
    field.name_lasts = false;
  }
  field.name_lasts |= field.name.constant;
  if (!read_string(field.value, field.value_lasts)) return fail();
  field.sound = false;
  entry_ = keep ? table_.add(field.name, field.value) : nullptr;
  // The entry that the name came from may have made room for this one.
  if (entry_ != nullptr && !field.name_lasts) field.name = table_.name(*entry_);
  return true;
}

bool HpackReader::read_integer(unsigned prefix, std::size_t& value) {
  const std::size_t most = (std::size_t{1} << prefix) - 1;
  value = static_cast<unsigned char>(*p_++) & most;
  return value < most || read_more(value);
}

// As many bytes as 32 bits can need, and no larger number.
bool HpackReader::read_more(std::size_t& value) {
  for (unsigned shift = 0; p_ != end_ && shift <= 28; shift += 7) {
    const auto byte = static_cast<unsigned char>(*p_++);
    value += static_cast<std::size_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return value <= 0xffffffff;
  }
  return false;
}

bool HpackReader::read_string(std::string_view& text, bool& lasting) {
  if (p_ == end_) return false;
  const bool huffman = (static_cast<unsigned char>(*p_) & 0x80) != 0;
  std::size_t size = 0;
  if (!read_integer(7, size) || size > static_cast<std::size_t>(end_ - p_)) return false;
  const std::string_view coded(p_, size);
  p_ += size;
  lasting = huffman;
  if (!huffman) {
    text = coded;
    return true;
  }
  char* const room = arena_.bytes(huffman_room(size));
  const char* const end = huffman_decode(coded, room);
  if (end == nullptr) return false;
  text = {room, static_cast<std::size_t>(end - room)};
  return true;
}

// RFC 7541 4.2: only in front of the fields, and not beyond what the SETTINGS allow, which do not name it.
bool HpackReader::change_size() {
  std::size_t size = 0;
  if (begun_ || !read_integer(5, size) || size > kHpackTable) return fail();
  table_.resize(size);
  return true;
}

}  // namespace mp::proto
