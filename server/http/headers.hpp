// Headers: an ordered list of header fields in a request's arena. Names and values are views that live at
// least as long as the request.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "base/arena.hpp"
#include "http/header_id.hpp"

namespace mp::http {

class Headers {
 public:
  explicit Headers(Arena& arena) : arena_(&arena) {}

  HeaderField* begin() { return fields_; }
  HeaderField* end() { return fields_ + size_; }
  const HeaderField* begin() const { return fields_; }
  const HeaderField* end() const { return fields_ + size_; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // The first field of this name, or null.
  const HeaderField* find(HeaderId id) const {
    for (const HeaderField& field : *this) {
      if (field.id == id) return &field;
    }
    return nullptr;
  }
  const HeaderField* find(std::string_view name) const;
  std::string_view value(HeaderId id) const {
    const HeaderField* field = find(id);
    return field != nullptr ? field->value : std::string_view();
  }

  void add(const HeaderField& field) {
    if (size_ == capacity_) grow();
    fields_[size_++] = field;
  }
  void add(HeaderId id, std::string_view value) { add({header_name(id), value, id}); }  // canonical spelling
  void add(std::string_view name, std::string_view value);  // views must live in the arena
  void set(HeaderId id, std::string_view value);            // replaces every field of that name
  void set(std::string_view name, std::string_view value);
  std::size_t remove(HeaderId id);  // how many went
  std::size_t remove(std::string_view name);

  // The values of the fields that `matches` takes, joined by `separator` (", " or "; "); a single one is not
  // copied; empty when there is none.
  template <class Match>
  std::string_view joined_if(Match matches, std::string_view separator) const;
  std::string_view joined(HeaderId id, std::string_view separator) const {
    return joined_if([id](const HeaderField& f) { return f.id == id; }, separator);
  }

  // Takes over an array of fields made elsewhere (a parser), which lives in the arena.
  void adopt(HeaderField* fields, std::size_t size, std::size_t capacity);
  void clear() { size_ = 0; }
  Arena& arena() const { return *arena_; }

 private:
  void grow();
  template <class Match>
  std::size_t remove_if(Match match);

  Arena* arena_;
  HeaderField* fields_ = nullptr;
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = 0;
};

template <class Match>
std::string_view Headers::joined_if(Match matches, std::string_view separator) const {
  std::string_view only;
  std::size_t count = 0;
  std::size_t size = 0;
  for (const HeaderField& f : *this) {
    if (!matches(f)) continue;
    only = f.value;
    size += f.value.size() + (count > 0 ? separator.size() : 0);
    ++count;
  }
  if (count <= 1) return only;
  char* text = arena_->bytes(size);
  char* p = text;
  for (const HeaderField& f : *this) {
    if (!matches(f)) continue;
    p = std::copy(f.value.begin(), f.value.end(), p);
    if (--count > 0) p = std::copy(separator.begin(), separator.end(), p);
  }
  return {text, size};
}

}  // namespace mp::http
