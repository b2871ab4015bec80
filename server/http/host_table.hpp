// HostTable: values by host name, with wildcards: "a.b", "*.b" (the longest suffix wins), ".b" ("b" itself
// and "*.b"), "a.*" (the longest prefix wins). Names compare without regard to case. Belongs to the
// configuration.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "http/slot_table.hpp"

namespace mp::http {

enum class HostEntry : std::uint8_t { added, conflicting, invalid };

template <class T>
class HostTable {
 public:
  // A name as it stands, whatever is in it.
  HostEntry add_exact(std::string_view name, T value) { return insert(exact_, name, std::move(value)); }

  // A name that may be a wildcard.
  HostEntry add(std::string_view name, T value) {
    std::size_t stars = 0;
    for (std::size_t i = 0; i < name.size(); ++i) {
      if (name[i] == '*') ++stars;
      if (name[i] == '\0' || (name[i] == '.' && name.substr(i + 1).starts_with('.')))
        return HostEntry::invalid;
    }
    if (stars > 1) return HostEntry::invalid;
    if (name.size() > 1 && name.front() == '.' && stars == 0) {
      const HostEntry alone = insert(exact_, name.substr(1), value);
      return alone == HostEntry::added ? insert(suffixes_, name, std::move(value)) : alone;
    }
    if (name.size() > 2 && name.starts_with("*.")) return insert(suffixes_, name.substr(1), std::move(value));
    if (name.size() > 2 && name.ends_with(".*")) {
      return insert(prefixes_, name.substr(0, name.size() - 1), std::move(value));
    }
    return stars != 0 ? HostEntry::invalid : insert(exact_, name, std::move(value));
  }

  const T* find(std::string_view host) const {
    if (const T* value = exact_.find(host)) return value;
    if (!suffixes_.empty()) {
      // A wildcard stands for at least one character.
      for (std::size_t dot = host.find('.', 1); dot != std::string_view::npos;
           dot = host.find('.', dot + 1)) {
        if (const T* value = suffixes_.find(host.substr(dot))) return value;
      }
    }
    if (!prefixes_.empty() && !host.empty()) {
      for (std::size_t dot = host.rfind('.', host.size() - 2); dot != std::string_view::npos && dot > 0;
           dot = host.rfind('.', dot - 1)) {
        if (const T* value = prefixes_.find(host.substr(0, dot + 1))) return value;
      }
    }
    return nullptr;
  }

  bool empty() const { return exact_.empty() && suffixes_.empty() && prefixes_.empty(); }

 private:
  static HostEntry insert(SlotTable<T>& table, std::string_view name, T value) {
    return table.add(name, std::move(value)) ? HostEntry::added : HostEntry::conflicting;
  }

  SlotTable<T> exact_;
  SlotTable<T> suffixes_;  // ".b"
  SlotTable<T> prefixes_;  // "a."
};

}  // namespace mp::http
