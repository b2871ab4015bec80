// FieldList: the header fields of one received message, in the order they came, with the first field
// of every known name at hand. Names and values are views into the buffer they were parsed from;
// the array itself lives in the Arena given to the constructor. Neither is owned. What is filled here
// is handed on with Headers::adopt().
#pragma once

#include <array>
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

  // Appends a field. At most 65535 fit; the callers' limits are far below.
  HeaderField& add(std::string_view name, std::string_view value, HeaderId id) {
    if (size_ == capacity_) grow();
    HeaderField& field = data_[size_++];
    field = {name, value, id};
    std::uint16_t& first = first_[static_cast<std::size_t>(id)];
    if (id != HeaderId::unknown && first == 0) first = static_cast<std::uint16_t>(size_);
    return field;
  }
  HeaderField& add(std::string_view name, std::string_view value) {
    return add(name, value, header_id(name));
  }

  // The first field with that id, or nullptr. Later ones follow in all().
  const HeaderField* find(HeaderId id) const {
    const std::uint16_t first = first_[static_cast<std::size_t>(id)];
    return first == 0 ? nullptr : &data_[first - 1];
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
    first_ = {};
  }

 private:
  void grow();

  Arena* arena_;
  HeaderField* data_ = nullptr;
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = 0;
  std::array<std::uint16_t, kHeaderIdCount> first_ = {};  // index + 1; 0: none
};

}  // namespace mp::http
