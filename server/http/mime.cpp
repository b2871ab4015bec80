#include "http/mime.hpp"

#include "base/ascii.hpp"
#include "base/strings.hpp"

namespace mp::http {

std::size_t NameTable::probe(std::string_view name, std::uint64_t hash) const {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t i = hash & mask;; i = (i + 1) & mask) {
    const Slot& slot = slots_[i];
    if (slot.name.data() == nullptr || (slot.hash == hash && equals_nocase(slot.name, name))) return i;
  }
}

void NameTable::grow() {
  std::vector<Slot> old(slots_.empty() ? 16 : slots_.size() * 2);
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.name.data() != nullptr) slots_[probe(slot.name, slot.hash)] = slot;
  }
}

std::string_view NameTable::set(std::string_view name, std::string_view text) {
  if ((size_ + 1) * 2 > slots_.size()) grow();
  const std::uint64_t hash = hash_nocase(name);
  Slot& slot = slots_[probe(name, hash)];
  const std::string_view previous = slot.text;
  if (slot.name.data() == nullptr) {
    slot.hash = hash;
    slot.name = name.empty() ? std::string_view("", 0) : arena_.copy(name);
    ++size_;
  }
  slot.text = text.empty() ? std::string_view("", 0) : arena_.copy(text);
  return previous;
}

std::string_view NameTable::find(std::string_view name) const {
  return slots_.empty() ? std::string_view() : slots_[probe(name, hash_nocase(name))].text;
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
