#include "http/mime.hpp"

#include "base/ascii.hpp"
#include "base/strings.hpp"

namespace mp::http {

namespace {

constexpr std::size_t kShort = 8;

}  // namespace

inline NameTable::Key::Key(std::string_view n) : name(n) {
  if (name.size() > kShort) {
    hash = hash_nocase(name);
  } else {
    letters = ascii_detail::lower8(ascii_detail::load(name.data(), name.size()));  // missing ones are 0
    hash = ascii_detail::mix(letters + name.size(), 0x9e3779b97f4a7c15);
  }
}

inline std::size_t NameTable::probe(const Key& key) const {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t i = key.hash & mask;; i = (i + 1) & mask) {
    const Slot& slot = slots_[i];
    if (slot.name.data() == nullptr) return i;
    if (slot.hash != key.hash || slot.letters != key.letters || slot.name.size() != key.name.size()) continue;
    if (key.name.size() <= kShort || equals_nocase(slot.name, key.name)) return i;
  }
}

void NameTable::grow() {
  std::vector<Slot> old(slots_.empty() ? 16 : slots_.size() * 2);
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.name.data() != nullptr) slots_[probe(Key(slot.name))] = slot;
  }
}

std::string_view NameTable::set(std::string_view name, std::string_view text) {
  if ((size_ + 1) * 2 > slots_.size()) grow();
  const Key key(name);
  Slot& slot = slots_[probe(key)];
  const std::string_view previous = slot.text;
  if (slot.name.data() == nullptr) {
    slot.hash = key.hash;
    slot.letters = key.letters;
    slot.name = name.empty() ? std::string_view("", 0) : arena_.copy(name);
    ++size_;
  }
  slot.text = text.empty() ? std::string_view("", 0) : arena_.copy(text);
  return previous;
}

std::string_view NameTable::find(std::string_view name) const {
  return slots_.empty() ? std::string_view() : slots_[probe(Key(name))].text;
}

void MimeTypes::set_defaults() {
  set("html", "text/html");
  set("gif", "image/gif");
  set("jpg", "image/jpeg");
}

bool MimeSet::add(std::string_view type) {
  if (type == "*") {
    const bool fresh = !any_;
    any_ = true;
    return fresh;
  }
  return table_.set(type, type).data() == nullptr;
}

bool MimeSet::contains(std::string_view content_type) const {
  return any_ || table_.find(trim_right(content_type.substr(0, content_type.find(';')))).data() != nullptr;
}

}  // namespace mp::http
