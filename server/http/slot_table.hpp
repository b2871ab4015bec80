// SlotTable: small values by name: an open hash table whose slots are one cache line each, with name and
// value, as the slot of a name is cold where there are many. Names compare without regard to case. Belongs to
// the configuration.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <forward_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ascii.hpp"

namespace mp::http {

template <class T, class Hash = NoCaseHash, class Equal = NoCaseEqual>
class SlotTable {
 public:
  // False: the name is there already.
  bool add(std::string_view name, T value) {
    if ((count_ + 1) * 4 > slots_.size() * 3) grow();
    const std::uint32_t hash = hash_of(name);
    Slot& slot = slots_[place(hash, name)];
    if (slot.hash != 0) return false;
    slot.hash = hash;
    slot.size = static_cast<std::uint32_t>(name.size());
    if (name.size() <= Slot::kInPlace) {
      name.copy(slot.text, name.size());
    } else {
      const char* address = long_names_.emplace_front(name).data();
      std::memcpy(slot.text, &address, sizeof(address));
    }
    slot.value = std::move(value);
    ++count_;
    return true;
  }

  const T* find(std::string_view name) const {
    if (slots_.empty()) return nullptr;
    const Slot& slot = slots_[place(hash_of(name), name)];
    return slot.hash != 0 ? &slot.value : nullptr;
  }

  bool empty() const { return count_ == 0; }

 private:
  struct alignas(64) Slot {
    static constexpr std::size_t kInPlace = 56 - sizeof(T);
    static_assert(sizeof(T) <= 40);
    std::uint32_t hash = 0;  // 0: free
    std::uint32_t size = 0;
    char text[kInPlace];  // or the address of a longer name
    T value{};

    bool is(std::uint32_t other_hash, std::string_view other) const {
      if (hash != other_hash || size != other.size()) return false;
      const char* own = text;
      if (size > kInPlace) std::memcpy(&own, text, sizeof(own));
      return Equal()(std::string_view(own, size), other);
    }
  };

  static std::uint32_t hash_of(std::string_view name) {
    const auto hash = static_cast<std::uint32_t>(Hash()(name));
    return hash != 0 ? hash : 1;
  }
  std::size_t first(std::uint32_t hash) const { return std::uint64_t{hash} * slots_.size() >> 32; }
  // Where the name is, or the free slot for it.
  std::size_t place(std::uint32_t hash, std::string_view name) const {
    const std::size_t at = first(hash);
    if (slots_[at].hash == 0 || slots_[at].is(hash, name)) [[likely]]
      return at;
    return place_behind(at, hash, name);
  }
  [[gnu::noinline]] std::size_t place_behind(std::size_t at, std::uint32_t hash,
                                             std::string_view name) const {
    do {
      at = at + 1 < slots_.size() ? at + 1 : 0;
    } while (slots_[at].hash != 0 && !slots_[at].is(hash, name));
    return at;
  }
  void grow() {
    std::vector<Slot> before(slots_.size() < 8 ? slots_.size() + 4 : slots_.size() / 2 * 3);
    before.swap(slots_);
    for (Slot& slot : before) {
      if (slot.hash == 0) continue;
      std::size_t at = first(slot.hash);
      while (slots_[at].hash != 0) at = at + 1 < slots_.size() ? at + 1 : 0;
      slots_[at] = std::move(slot);
    }
  }

  std::vector<Slot> slots_;  // none, or a quarter at least is free
  std::size_t count_ = 0;
  std::forward_list<std::string> long_names_;
};

}  // namespace mp::http
