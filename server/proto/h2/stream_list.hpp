// H2StreamList: the streams of a session by their numbers, which only ever grow. Not their owner.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace mp::proto {

class H2Stream;

class H2StreamList {
 public:
  struct Entry {
    std::uint32_t id;
    H2Stream* stream;
  };

  // Null: there is none.
  H2Stream* find(std::uint32_t id) const {
    const auto at = place(id);
    return at != entries_.end() && at->id == id ? at->stream : nullptr;
  }
  void add(std::uint32_t id, H2Stream* stream) {
    if (first_ > 0 && entries_.size() == entries_.capacity()) drop_front();
    entries_.push_back({id, stream});
  }
  // Mostly the oldest goes.
  void remove(std::uint32_t id) {
    const auto at = place(id);
    if (at == entries_.end() || at->id != id) return;
    if (at == begin()) {
      if (++first_ == entries_.size()) drop_front();
    } else {
      entries_.erase(at);
    }
  }

  std::vector<Entry>::const_iterator begin() const {
    return entries_.begin() + static_cast<std::ptrdiff_t>(first_);
  }
  std::vector<Entry>::const_iterator end() const { return entries_.end(); }
  std::size_t size() const { return entries_.size() - first_; }
  bool empty() const { return size() == 0; }
  std::vector<Entry> copy() const { return {begin(), end()}; }

 private:
  std::vector<Entry>::const_iterator place(std::uint32_t id) const {
    if (first_ < entries_.size() && entries_[first_].id >= id) return begin();
    if (!entries_.empty() && entries_.back().id == id) return entries_.end() - 1;
    return std::lower_bound(begin(), end(), id, [](const Entry& e, std::uint32_t i) { return e.id < i; });
  }
  void drop_front() {
    entries_.erase(entries_.begin(), begin());
    first_ = 0;
  }

  std::vector<Entry> entries_;
  std::size_t first_ = 0;  // those in front of it are gone
};

}  // namespace mp::proto
