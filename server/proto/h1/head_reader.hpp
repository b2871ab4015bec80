// What the request and the response head parser have in common: cutting a growing buffer into lines, and
// turning a line into a field. A line whose name is visible and whose value has no controls (both were
// checked) needs no grammar (a Content-Length is digits and comes once, which the parsers check); transfer
// codings go through llhttp as well. Both look at every byte once, however the input is cut. Internal to
// proto/h1.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <llhttp.h>

#include "base/strings.hpp"
#include "http/field_list.hpp"
#include "http/strict.hpp"

namespace mp::proto {

// Finds line ends (CR LF, or LF alone when allowed) and refuses what strictness forbids inside a line: a CR
// that ends nothing, NUL and any other control but the tab.
class LineScanner {
 public:
  enum class Found : std::uint8_t { line, partial, bad };

  explicit LineScanner(bool bare_lf) : bare_lf_(bare_lf) {}

  // Looks for the end of the line that begins at start(), not beyond `window` bytes after it.
  // line: text() is the line without its end, next() the offset behind it. bad: text() ends at the bad byte.
  Found scan(std::string_view data, std::size_t window = static_cast<std::size_t>(-1)) {
    const char* end = data.data() + start_ + std::min(window, data.size() - start_);
    const char* p = http::find_control(std::min(data.data() + scanned_, end), end);
    scanned_ = static_cast<std::size_t>(p - data.data());
    if (p == end) return Found::partial;
    text_ = data.substr(start_, scanned_ - start_);
    if (*p == '\r') {
      if (p + 1 == end) return Found::partial;
      next_ = scanned_ + 2;
      return p[1] == '\n' ? Found::line : Found::bad;
    }
    next_ = scanned_ + 1;
    return *p == '\n' && bare_lf_ ? Found::line : Found::bad;
  }

  std::size_t start() const { return start_; }
  std::size_t next() const { return next_; }
  std::string_view text() const { return text_; }
  // Goes behind the CR LF at start(), when that is what is there.
  bool take_blank(std::string_view data) {
    if (!data.substr(start_).starts_with("\r\n")) return false;
    skip_to(start_ + 2);
    return true;
  }
  bool fresh() const { return scanned_ == start_; }  // nothing of the line at start() was looked at
  void advance() { start_ = scanned_ = next_; }      // goes on behind the line found
  void skip_to(std::size_t offset) { start_ = scanned_ = next_ = offset; }

 private:
  bool bare_lf_;
  std::size_t start_ = 0;
  std::size_t scanned_ = 0;  // nothing of interest between start_ and here
  std::size_t next_ = 0;
  std::string_view text_;
};

// Collects the fields of complete header lines.
class FieldGrammar {
 public:
  enum class Kind : std::uint8_t { request, response };
  // Judges a field just added; false stops the parse. `owner` is the parser.
  using Accept = bool (*)(void* owner, const http::HeaderField& field);

  FieldGrammar(Kind kind, http::FieldList& fields, Accept accept, void* owner)
      : fields_(fields), accept_(accept), owner_(owner), kind_(kind) {}
  FieldGrammar(const FieldGrammar&) = delete;
  FieldGrammar& operator=(const FieldGrammar&) = delete;

  // `line` (with its end in `whole`) has a name of `name_size` visible characters and a colon behind it.
  // False: refused by Accept (refused()), or not a header by the grammar (error_at()).
  bool take(std::string_view line, std::size_t name_size, std::string_view whole) {
    const std::string_view name = line.substr(0, name_size);
    const http::HeaderId id = http::header_id(name);
    if (id == http::HeaderId::transfer_encoding) return run(whole);
    const http::HeaderField& field = fields_.add(name, trim(line.substr(name_size + 1)), id);
    refused_ = !accept_(owner_, field);
    return !refused_;
  }
  // A whole line through llhttp.
  bool run(std::string_view line);
  bool refused() const { return refused_; }
  // Where the grammar stopped.
  const char* error_at() const { return llhttp_get_error_pos(&llhttp_); }

  void reset() { prepared_ = refused_ = false; }

 private:
  static const llhttp_settings_t& settings();
  static const llhttp_t& prepared(Kind kind);
  static int on_name(llhttp_t* llhttp, const char* at, std::size_t size);
  static int on_value(llhttp_t* llhttp, const char* at, std::size_t size);
  static int on_value_complete(llhttp_t* llhttp);
  bool commit();

  llhttp_t llhttp_;
  bool prepared_ = false;  // llhttp_ is in use: few heads have a line for it
  http::FieldList& fields_;
  Accept accept_;
  void* owner_;
  Kind kind_;
  std::string_view name_;   // of the field being read; empty between fields
  std::string_view value_;  // llhttp gives some values in several pieces, one behind the other
  bool refused_ = false;
};

// `\x0a...` after the text in front of it: how nginx shows where a line went wrong.
std::string broken_line(std::string_view what, std::string_view line, const char* at);

// Moves `view` by `delta` when it lies in `old`; views of constants stay.
inline void shift_view(std::string_view& view, std::string_view old, const char* to) {
  const auto offset =
      reinterpret_cast<std::uintptr_t>(view.data()) - reinterpret_cast<std::uintptr_t>(old.data());
  if (view.data() != nullptr && offset <= old.size()) view = {to + offset, view.size()};
}
void shift_fields(http::FieldList& fields, std::string_view old, const char* to);

}  // namespace mp::proto
