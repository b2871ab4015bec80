#include "http/regex_index.hpp"

#include <algorithm>
#include <bit>
#include <unordered_map>
#include <utility>

#include "base/ascii.hpp"

namespace mp::http {

// Up to four bytes in lower case as one number.
std::uint32_t RegexIndex::key_of(const char* p, std::size_t bytes) {
  const std::uint64_t word = ascii_detail::load(p, bytes);
  return static_cast<std::uint32_t>(ascii_detail::lower8(word));
}

std::size_t RegexIndex::slot_of(const Table& table, std::uint32_t key) {
  const std::uint32_t mixed = key * 0x9e3779b1u;
  return (mixed ^ (mixed >> 15)) & (table.slots.size() - 1);
}

namespace {

// How often each key occurs in the texts: the fewer share one, the fewer texts are compared in vain.
using KeyCounts = std::unordered_map<std::uint64_t, std::uint32_t>;

struct Choice {
  const std::vector<std::string>* texts = nullptr;
  std::uint64_t cost = 0;
};

}  // namespace

void RegexIndex::build(std::span<const std::string_view> patterns) {
  std::vector<RequiredTexts> required;
  KeyCounts counts;
  auto each_key = [](const std::string& text, auto visit) {
    const std::size_t bytes = std::min(text.size(), kMostBytes);
    for (std::size_t at = 0; at + bytes <= text.size(); ++at) {
      visit(at, std::uint64_t{bytes} << 32 | key_of(text.data() + at, bytes));
    }
  };
  for (const std::string_view pattern : patterns) {
    required.push_back(required_texts(pattern));
    for (const auto& list : required.back()) {
      for (const std::string& text : list) {
        each_key(text, [&](std::size_t, std::uint64_t key) { ++counts[key]; });
      }
    }
  }
  auto rarest = [&](const std::string& text) {
    std::pair<std::uint32_t, std::size_t> best{UINT32_MAX, 0};
    each_key(text, [&](std::size_t at, std::uint64_t key) { best = std::min(best, {counts[key], at}); });
    return best;
  };

  std::array<std::vector<std::uint32_t>, kMostBytes + 1> by_size;
  for (std::uint32_t position = 0; position < patterns.size(); ++position) {
    Choice best;
    for (const auto& list : required[position]) {
      std::uint64_t cost = 0;
      for (const std::string& text : list) {
        cost += rarest(text).first;
        if (text.size() < 2) cost = UINT32_MAX;  // nearly every subject has it
      }
      if (cost < UINT32_MAX && (best.texts == nullptr || cost < best.cost)) best = {&list, cost};
    }
    if (best.texts == nullptr) {
      always_.push_back(position);
      continue;
    }
    for (const std::string& text : *best.texts) {
      by_size[std::min(text.size(), kMostBytes)].push_back(static_cast<std::uint32_t>(entries_.size()));
      entries_.push_back({text, rarest(text).second, position, 0});
    }
  }
  for (std::size_t bytes = 1; bytes <= kMostBytes; ++bytes) {
    if (by_size[bytes].empty()) continue;
    Table& table = tables_.emplace_back();
    table.bytes = bytes;
    table.slots.resize(std::bit_ceil(by_size[bytes].size() * 4));
    for (const std::uint32_t i : by_size[bytes]) {
      Entry& entry = entries_[i];
      std::uint32_t& slot = table.slots[slot_of(table, key_of(entry.text.data() + entry.at, bytes))];
      entry.next = std::exchange(slot, i + 1);
    }
  }
}

void RegexIndex::Candidates::add(std::uint32_t position) {
  list_[size_++] = position;
}

void RegexIndex::Candidates::sort() {
  std::sort(list_.begin(), list_.begin() + static_cast<std::ptrdiff_t>(size_));
  const auto last = std::unique(list_.begin(), list_.begin() + static_cast<std::ptrdiff_t>(size_));
  size_ = static_cast<std::size_t>(last - list_.begin());
}

bool RegexIndex::scan(const Table& table, std::string_view subject, Candidates& out) const {
  for (std::size_t i = 0; i + table.bytes <= subject.size(); ++i) {
    std::uint32_t index = table.slots[slot_of(table, key_of(subject.data() + i, table.bytes))];
    for (; index != 0; index = entries_[index - 1].next) {
      const Entry& entry = entries_[index - 1];
      if (entry.at > i || subject.size() - (i - entry.at) < entry.text.size()) continue;
      if (!equals_nocase(subject.substr(i - entry.at, entry.text.size()), entry.text)) continue;
      if (out.size_ == Candidates::kMost) return false;
      out.add(entry.position);
    }
  }
  return true;
}

bool RegexIndex::find(std::string_view subject, Candidates& out) const {
  if (always_.size() > Candidates::kMost) return false;
  out.size_ = 0;
  for (const std::uint32_t position : always_) out.add(position);
  for (const Table& table : tables_) {
    if (!scan(table, subject, out)) return false;
  }
  if (out.size_ > 1) out.sort();
  return true;
}

}  // namespace mp::http
