// RegexIndex: which of many patterns may match a subject at all, so that an ordered list of regexes costs
// about the same however long it is. For each pattern it knows texts of which one must occur in whatever it
// matches; one pass over the subject finds those. A pattern without such a text always may match. Belongs to
// the configuration.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mp::http {

// Lower-case texts, one of which is a part of every subject that `pattern` (PCRE2 syntax) matches, in any
// case; each list is one such choice. Empty when nothing is known.
using RequiredTexts = std::vector<std::vector<std::string>>;
RequiredTexts required_texts(std::string_view pattern);

class RegexIndex {
 public:
  // Patterns are known by their position.
  void build(std::span<const std::string_view> patterns);

  // The positions of the patterns that may match, ascending.
  class Candidates {
   public:
    const std::uint32_t* begin() const { return list_.data(); }
    const std::uint32_t* end() const { return list_.data() + size_; }

   private:
    friend class RegexIndex;
    static constexpr std::size_t kMost = 64;
    void add(std::uint32_t position);
    void sort();
    std::array<std::uint32_t, kMost> list_;
    std::size_t size_ = 0;
  };
  // False: too many may match, try all of them.
  bool find(std::string_view subject, Candidates& out) const;

 private:
  // A text is looked for by a few of its bytes that are rare among all texts.
  static constexpr std::size_t kMostBytes = 4;
  struct Entry {
    std::string text;
    std::size_t at = 0;  // where in `text` its key is
    std::uint32_t position = 0;
    std::uint32_t next = 0;  // of the same slot, as index + 1
  };
  struct Table {
    std::size_t bytes = 0;             // of a key
    std::vector<std::uint32_t> slots;  // first entry, as index + 1; a power of two
  };
  static std::uint32_t key_of(const char* p, std::size_t bytes);
  static std::size_t slot_of(const Table& table, std::uint32_t key);
  bool scan(const Table& table, std::string_view subject, Candidates& out) const;

  std::vector<Entry> entries_;
  std::vector<Table> tables_;  // by the size of keys; only those in use
  std::vector<std::uint32_t> always_;
};

}  // namespace mp::http
