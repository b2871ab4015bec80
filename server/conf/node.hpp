// The syntax tree of a configuration: what the parser makes and the directive handlers read.
//
// Everything here is a view. Texts, arguments and children live in the arena and the source texts of
// the Configuration that was parsed, so handlers keep string_views of them without copying.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace mp::conf {

// A place in a source text. `file` is an index into Sources; lines and columns count from 1.
struct Position {
  static constexpr std::uint32_t kNoFile = 0xffffffff;

  std::uint32_t file = kNoFile;
  std::uint32_t line = 0;
  std::uint32_t column = 0;

  bool known() const { return file != kNoFile; }
};

struct Arg {
  std::string_view text;     // after quotes and escapes were resolved
  Position position;         // of its first character (the quote, when there is one)
  std::uint32_t length = 0;  // in the source, quotes included: how far a marker under it reaches
  bool quoted = false;

  operator std::string_view() const { return text; }
};

struct Node;

// The directives inside a block, in source order, with every `include` replaced by what it includes.
class NodeList {
 public:
  constexpr NodeList() = default;
  constexpr NodeList(const Node* data, std::size_t size) : data_(data), size_(size) {}

  const Node* begin() const { return data_; }
  const Node* end() const;
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const Node& operator[](std::size_t i) const;

 private:
  const Node* data_ = nullptr;
  std::size_t size_ = 0;
};

struct Node {
  // An `error` node stands where the text stopped being understandable; `name` holds the message. It is
  // the last of its list. Handlers meet directives only: the dispatcher reports errors, in their turn,
  // so that a mistake on line 3 is told before a missing brace on line 90.
  enum class Kind : std::uint8_t { directive, error };

  std::string_view name;
  std::span<const Arg> args;  // without the name
  NodeList children;          // of a { block }
  std::string_view lua_body;  // *_by_lua_block: the bytes between the braces, unchanged
  Position position;          // of the name
  Position end;    // of the ';' or '{' (the line that messages name, as nginx does; Lua text starts here)
  Position close;  // of the '}'
  std::uint32_t name_length = 0;  // in the source
  Kind kind = Kind::directive;
  bool has_block = false;
  bool has_lua = false;  // the block was read as Lua

  std::string_view arg(std::size_t i) const { return i < args.size() ? args[i].text : std::string_view(); }
};

inline const Node* NodeList::end() const {
  return data_ + size_;
}
inline const Node& NodeList::operator[](std::size_t i) const {
  return data_[i];
}

}  // namespace mp::conf
