// NameSet: a set of header field names, asked once for every field that passes: known names are one bit each,
// others are compared as text. Built while the configuration is read.
#pragma once

#include <bitset>
#include <string_view>
#include <vector>

#include "base/ascii.hpp"
#include "http/header_id.hpp"

namespace mp::upstream {

class NameSet {
 public:
  void add(std::string_view name) {
    const http::HeaderId id = http::header_id(name);
    if (id != http::HeaderId::unknown) {
      known_.set(static_cast<std::size_t>(id));
    } else if (!has_text(name)) {
      others_.push_back(name);
    }
  }
  void remove(std::string_view name) {
    const http::HeaderId id = http::header_id(name);
    if (id != http::HeaderId::unknown) return known_.reset(static_cast<std::size_t>(id)), void();
    std::erase_if(others_, [name](std::string_view other) { return equals_nocase(other, name); });
  }
  bool has(const http::HeaderField& field) const {
    if (field.id != http::HeaderId::unknown) return known_[static_cast<std::size_t>(field.id)];
    return !others_.empty() && has_text(field.name);
  }
  bool has(http::HeaderId id) const { return known_[static_cast<std::size_t>(id)]; }

 private:
  [[gnu::noinline]] bool has_text(std::string_view name) const {
    for (std::string_view other : others_) {
      if (equals_nocase(other, name)) return true;
    }
    return false;
  }

  std::bitset<http::kHeaderIdCount> known_;
  std::vector<std::string_view> others_;
};

}  // namespace mp::upstream
