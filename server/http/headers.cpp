#include "http/headers.hpp"

#include <algorithm>
#include <cstring>

#include "base/ascii.hpp"

namespace mp::http {

const HeaderField* Headers::find(std::string_view name) const {
  const HeaderId id = header_id(name);
  if (id != HeaderId::unknown) return find(id);
  for (const HeaderField& field : *this) {
    if (field.id == HeaderId::unknown && equals_nocase(field.name, name)) return &field;
  }
  return nullptr;
}

void Headers::grow() {
  const std::uint32_t capacity = capacity_ == 0 ? 8 : capacity_ * 2;
  // Not made field by field: what is behind size_ is never read.
  auto* fields =
      static_cast<HeaderField*>(arena_->allocate(capacity * sizeof(HeaderField), alignof(HeaderField)));
  if (size_ != 0) std::memcpy(static_cast<void*>(fields), fields_, size_ * sizeof(HeaderField));
  fields_ = fields;
  capacity_ = capacity;
}

void Headers::add(std::string_view name, std::string_view value) {
  add({name, value, header_id(name)});
}

void Headers::set(HeaderId id, std::string_view value) {
  auto* field = const_cast<HeaderField*>(find(id));
  if (field == nullptr) return add(id, value);
  field->value = value;
  remove_if([field, id](const HeaderField& f) { return f.id == id && &f != field; });
}

void Headers::set(std::string_view name, std::string_view value) {
  auto* field = const_cast<HeaderField*>(find(name));
  if (field == nullptr) return add(name, value);
  field->value = value;
  const HeaderField* kept = field;
  const HeaderId id = field->id;
  remove_if([&](const HeaderField& f) {
    return &f != kept && f.id == id && (id != HeaderId::unknown || equals_nocase(f.name, name));
  });
}

template <class Match>
std::size_t Headers::remove_if(Match match) {
  std::uint32_t kept = 0;
  std::uint32_t first = 0;
  while (first < size_ && !match(fields_[first])) ++first;
  kept = first;
  // Matches are decided on the original places, so that a match may refer to a field by address.
  for (std::uint32_t i = first; i < size_; ++i) {
    if (!match(fields_[i])) fields_[kept++] = fields_[i];
  }
  const std::size_t removed = size_ - kept;
  size_ = kept;
  return removed;
}

std::size_t Headers::remove(HeaderId id) {
  return remove_if([id](const HeaderField& f) { return f.id == id; });
}

std::size_t Headers::remove(std::string_view name) {
  const HeaderId id = header_id(name);
  if (id != HeaderId::unknown) return remove(id);
  return remove_if(
      [name](const HeaderField& f) { return f.id == HeaderId::unknown && equals_nocase(f.name, name); });
}

void Headers::adopt(HeaderField* fields, std::size_t size, std::size_t capacity) {
  fields_ = fields;
  size_ = static_cast<std::uint32_t>(size);
  capacity_ = static_cast<std::uint32_t>(capacity);
}

}  // namespace mp::http
