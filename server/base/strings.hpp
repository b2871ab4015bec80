// Cutting and copying text: trim, split, copies in lower case. Views point into the text they were
// cut from; copies live in the caller's buffer or Arena.
#pragma once

#include <cstddef>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>

#include "base/arena.hpp"
#include "base/ascii.hpp"

namespace mp {

// Without leading and trailing spaces and tabs (RFC 9110: OWS).
constexpr std::string_view trim_left(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  return text;
}
constexpr std::string_view trim_right(std::string_view text) {
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}
constexpr std::string_view trim(std::string_view text) {
  return trim_left(trim_right(text));
}

// Takes `prefix` off the front of `text`; false when it is not there.
constexpr bool consume(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// The text before and after the first `separator`; nothing when there is none.
constexpr std::optional<std::pair<std::string_view, std::string_view>> split_once(std::string_view text,
                                                                                  char separator) {
  const std::size_t at = text.find(separator);
  if (at == std::string_view::npos) return std::nullopt;
  return std::pair{text.substr(0, at), text.substr(at + 1)};
}

// The pieces between separators, empty ones included ("a,,b" has three, "" has one):
//   for (std::string_view piece : split(text, ',')) ...
class Split {
 public:
  class Iterator {
   public:
    using value_type = std::string_view;
    using reference = std::string_view;
    using pointer = const std::string_view*;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::input_iterator_tag;

    constexpr Iterator() = default;
    constexpr Iterator(std::string_view rest, char separator)
        : rest_(rest), separator_(separator), more_(true) {
      advance();
    }
    constexpr std::string_view operator*() const { return piece_; }
    constexpr Iterator& operator++() {
      if (more_) {
        advance();
      } else {
        done_ = true;
      }
      return *this;
    }
    constexpr bool operator==(std::default_sentinel_t) const { return done_; }

   private:
    constexpr void advance() {
      const std::size_t at = rest_.find(separator_);
      piece_ = rest_.substr(0, at);
      more_ = at != std::string_view::npos;
      if (more_) rest_.remove_prefix(at + 1);
    }
    std::string_view rest_;
    std::string_view piece_;
    char separator_ = 0;
    bool more_ = false;
    bool done_ = false;
  };

  constexpr Split(std::string_view text, char separator) : text_(text), separator_(separator) {}
  constexpr Iterator begin() const { return {text_, separator_}; }
  constexpr std::default_sentinel_t end() const { return {}; }

 private:
  std::string_view text_;
  char separator_;
};

constexpr Split split(std::string_view text, char separator) {
  return {text, separator};
}

// True when the comma-separated list has the member, ignoring case, parameters (";q=1") and blanks.
constexpr bool list_contains(std::string_view list, std::string_view member) {
  for (std::string_view item : split(list, ',')) {
    if (equals_nocase(trim(item.substr(0, item.find(';'))), member)) return true;
  }
  return false;
}

// A copy in lower case; `text` itself when it has no capitals.
std::string_view lower(Arena& arena, std::string_view text);
// A zero-terminated copy, for system calls.
const char* c_string(Arena& arena, std::string_view text);

}  // namespace mp
