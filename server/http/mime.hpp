// Media types: MimeTypes maps file name extensions to types (`types {}`), MimeSet is a list of types that
// a directive applies to (`gzip_types` and the like). Both are filled while the configuration is read and
// constant afterwards; they own copies of their texts. Names are compared without regard to case.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/arena.hpp"

namespace mp::http {

// A hash table from names to texts, made for few insertions and many lookups.
class NameTable {
 public:
  // Sets the text for a name; gives back the previous one, or an empty text.
  std::string_view set(std::string_view name, std::string_view text);
  // The text, or null data() when there is none.
  std::string_view find(std::string_view name) const;
  std::size_t size() const { return size_; }

 private:
  struct Slot {
    std::uint64_t hash = 0;
    std::uint64_t letters = 0;  // all of a short name
    std::string_view name;      // null data(): free
    std::string_view text;
  };
  // What a name is looked up by. A short one, as extensions are, is a word: compared at once.
  struct Key {
    explicit Key(std::string_view name);
    std::string_view name;
    std::uint64_t letters = 0;
    std::uint64_t hash;
  };
  // The slot of the name, or the free one where it would go.
  std::size_t probe(const Key& key) const;
  void grow();

  Arena arena_;
  std::vector<Slot> slots_;  // a power of two, at most half full
  std::size_t size_ = 0;
};

class MimeTypes {
 public:
  // Returns the type the extension had before, for the warning about duplicates, or an empty text.
  std::string_view set(std::string_view extension, std::string_view type) {
    return table_.set(extension, type);
  }
  // The type, or an empty text.
  std::string_view find(std::string_view extension) const { return table_.find(extension); }
  std::size_t size() const { return table_.size(); }

  // What applies where no `types` block is in force: html, gif, jpg.
  void set_defaults();

 private:
  NameTable table_;
};

class MimeSet {
 public:
  // "*" stands for every type. False when the type is in the set already.
  bool add(std::string_view type);
  // Tests the type in a Content-Type value; its parameters are ignored.
  bool contains(std::string_view content_type) const;
  bool empty() const { return !any_ && table_.size() == 0; }

 private:
  NameTable table_;
  bool any_ = false;
};

}  // namespace mp::http
