// FieldList: the header fields of one received message, in the order they came. Which of the known names are
// there is a bit for each: most that are asked for are not. Names and values are views into the buffer they
// were parsed from; the array itself lives in the Arena given to the constructor. Neither is owned. What is
// filled here is handed on with Headers::adopt().
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/arena.hpp"
#include "http/header_id.hpp"

namespace mp::http {

class FieldList {
 public:
  explicit FieldList(Arena& arena) : arena_(&arena) {}

  // Appends a field.
  HeaderField& add(std::string_view name, std::string_view value, HeaderId id) {
    if (size_ == capacity_) grow();
    HeaderField& field = data_[size_++];
    field = {name, value, id};
    if (id != HeaderId::unknown) known_[static_cast<std::size_t>(id)] = true;
    return field;
  }
  HeaderField& add(std::string_view name, std::string_view value) {
    return add(name, value, header_id(name));
  }

  bool has(HeaderId id) const { return known_[static_cast<std::size_t>(id)]; }
  // The first field with that id, or nullptr. Later ones follow in all().
  const HeaderField* find(HeaderId id) const {
    if (!has(id)) return nullptr;
    for (const HeaderField& field : all()) {
      if (field.id == id) return &field;
    }
    return nullptr;
  }
  std::string_view value(HeaderId id) const {
    const HeaderField* field = find(id);
    return field == nullptr ? std::string_view{} : field->value;
  }

  std::span<const HeaderField> all() const { return {data_, size_}; }
  std::span<HeaderField> all() { return {data_, size_}; }
  std::size_t size() const { return size_; }
  std::size_t capacity() const { return capacity_; }  // with all(): what Headers::adopt() takes over

  void clear() {
    size_ = 0;
    known_ = {};
  }

 private:
  void grow();

  Arena* arena_;
  HeaderField* data_ = nullptr;
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = 0;
  std::bitset<kHeaderIdCount> known_;  // ids that are there; never HeaderId::unknown
};

}  // namespace mp::http
