#include "http/uri.hpp"

#include <algorithm>
#include <bit>

#include "base/ascii.hpp"
#include "base/escape.hpp"
#include "base/sixteen.hpp"

namespace mp::http {
namespace {

// Characters that neither end the path nor need a second look.
constexpr CharSet kPlain = CharSet().add_range(0x21, 0xff).remove("#%+./?\x7f");
constexpr CharSet kRefused = CharSet("\x7f").add_range(0, 0x20);
constexpr CharSet kUnsafe = CharSet("\x7f").add_range(0, 0x1f).remove("\t");

// Neither a fragment nor what is refused.
[[gnu::noinline]] bool good_args(std::string_view args) {
#if MP_SIXTEEN
  using namespace sixteen;
  for (std::size_t at = 0; at < args.size(); at += 16) {
    const std::size_t size = std::min<std::size_t>(args.size() - at, 16);
    const Bytes b = load(args.data() + at, size);
    const Bytes bad = either(either(within(b, 0, 0x20), is(b, 0x7f)), is(b, '#'));
    if ((mask(bad) & first(size)) != 0) return false;
  }
  return true;
#else
  return std::none_of(args.begin(), args.end(), [](char c) { return c == '#' || kRefused.contains(c); });
#endif
}

// The characters of a text that are not plain, in their order. Others that are rare in paths come, too: what
// is looked for is two ranges then.
class Marks {
 public:
  Marks(std::string_view text, std::size_t from) : text_(text), at_(from) { look(); }

  // The place of the next one; the size of the text when there is none.
  std::size_t next() {
#if MP_SIXTEEN
    while (marks_ == 0 && at_ + kStep < text_.size()) {
      at_ += kStep;
      look();
    }
    if (marks_ == 0) return text_.size();
    const auto offset = static_cast<std::size_t>(std::countr_zero(marks_));
    marks_ &= marks_ - 1;
    return at_ + offset;
#else
    while (at_ < text_.size() && kPlain.contains(text_[at_])) ++at_;
    return std::min(at_++, text_.size());
#endif
  }

 private:
#if MP_SIXTEEN
  static constexpr std::size_t kStep = 16;

  void look() {
    using namespace sixteen;
    const std::size_t size = std::min(text_.size() - at_, kStep);
    const Bytes b = load(text_.data() + at_, size);
    const Bytes low = either(within(b, 0, ','), within(b, '.', 1));  // controls to '/', but for '-'
    const Bytes high = is(either(b, _mm_set1_epi8(0x40)), 0x7f);     // '?' and rubout
    marks_ = mask(either(low, high)) & first(size);
  }

  unsigned marks_ = 0;  // not given yet, of the bytes from at_ on
#else
  void look() {}
#endif
  std::string_view text_;
  std::size_t at_;
};

// Writes the canonical path into a buffer as long as the raw URI plus one.
class Canonicaliser {
 public:
  Canonicaliser(std::string_view raw, char* out, bool merge_slashes)
      : raw_(raw), start_(out), out_(out), merge_slashes_(merge_slashes) {}

  // False when the URI must be refused.
  bool run(RequestUri& uri) {
    if (!raw_.starts_with('/')) put('/');
    while (at_ < raw_.size()) {
      char c = raw_[at_];
      if (c == '?' || c == '#') break;
      ++at_;
      if (kRefused.contains(c)) return false;
      if (c == '%') {
        if (!decode(c)) return false;
        uri.quoted = true;
      }
      if (!take(c)) return false;
      uri.plus |= c == '+';
    }
    if (!leave_dots()) return false;
    uri.path = {start_, static_cast<std::size_t>(out_ - start_)};
    if (extension_ != nullptr) uri.extension = {extension_, static_cast<std::size_t>(out_ - extension_)};
    return take_args(uri);
  }

 private:
  // What stands before the write position: is it a segment that may turn out to be "." or ".."?
  enum class Segment { named, empty, dot, dot_dot };

  void put(char c) { *out_++ = c; }

  bool decode(char& c) {
    if (raw_.size() - at_ < 2) return false;
    const int high = hex_value(raw_[at_]);
    const int low = hex_value(raw_[at_ + 1]);
    if (high < 0 || low < 0) return false;
    at_ += 2;
    c = static_cast<char>(high << 4 | low);
    return c != '\0';
  }

  bool take(char c) {
    if (c == '/') {
      if (segment_ == Segment::empty && merge_slashes_) return true;
      if (segment_ == Segment::dot || segment_ == Segment::dot_dot) return leave_dots();
      put(c);
      extension_ = nullptr;
      segment_ = Segment::empty;
      return true;
    }
    if (c == '.' && segment_ == Segment::named) extension_ = out_ + 1;
    put(c);
    if (c != '.' || segment_ == Segment::named || segment_ == Segment::dot_dot) {
      segment_ = Segment::named;
    } else {
      segment_ = segment_ == Segment::empty ? Segment::dot : Segment::dot_dot;
    }
    return true;
  }

  // Removes a "." or ".." just written, the latter with the segment before it.
  bool leave_dots() {
    if (segment_ == Segment::dot) {
      out_ -= 1;
    } else if (segment_ == Segment::dot_dot) {
      out_ -= 3;  // at the slash in front of ".."
      if (out_ == start_) return false;
      do {
        --out_;
      } while (*out_ != '/');
      ++out_;
    } else {
      return true;
    }
    segment_ = Segment::empty;
    return true;
  }

  bool take_args(RequestUri& uri) {
    if (at_ == raw_.size()) return true;
    std::size_t end = at_;
    while (end < raw_.size() && raw_[end] != '#') {
      if (kRefused.contains(raw_[end++])) return false;
    }
    if (raw_[at_] == '?' && end > at_ + 1) uri.args = raw_.substr(at_ + 1, end - at_ - 1);
    for (; end < raw_.size(); ++end) {
      if (kRefused.contains(raw_[end])) return false;
    }
    return true;
  }

  std::string_view raw_;
  std::size_t at_ = 0;
  char* const start_;
  char* out_;
  char* extension_ = nullptr;
  // The path starts as if a segment was open: its first character, '/', closes it.
  Segment segment_ = Segment::named;
  const bool merge_slashes_;
};

bool has_parent_segment(std::string_view path) {
  if (path == ".." || path.starts_with("../")) return true;
  for (std::size_t at = path.find("/.."); at != std::string_view::npos; at = path.find("/..", at + 1)) {
    if (at + 3 == path.size() || path[at + 3] == '/') return true;
  }
  return false;
}

}  // namespace

bool take_canonical_uri(std::string_view raw, RequestUri& uri) {
  if (!raw.starts_with('/')) return false;
  std::size_t extension = 0;
  std::size_t segment = 1;  // where the last one begins: behind the first slash
  std::size_t end = 0;
  bool plus = false;
  for (Marks marks(raw, 1);;) {
    end = marks.next();
    if (end == raw.size() || raw[end] == '?') break;
    switch (raw[end]) {
      case '/':
        if (end == segment) return false;
        extension = 0;
        segment = end + 1;
        break;
      case '.':
        if (end == segment) return false;
        extension = end + 1;
        break;
      case '+':
        plus = true;
        break;
      default:
        if (!kPlain.contains(raw[end])) return false;
    }
  }
  std::string_view args;
  if (raw.size() > end + 1) {
    args = raw.substr(end + 1);
    if (!good_args(args)) return false;
  }
  uri.path = raw.substr(0, end);
  uri.args = args;
  uri.extension = extension != 0 ? raw.substr(extension, end - extension) : std::string_view();
  uri.plus = plus;
  return true;
}

std::optional<RequestUri> parse_request_uri(Arena& arena, std::string_view raw, bool merge_slashes) {
  if (raw.empty() || (raw.front() != '/' && raw.front() != '?')) return std::nullopt;
  RequestUri uri{.raw = raw, .raw_valid = raw.front() == '/'};
  if (take_canonical_uri(raw, uri)) return uri;
  Canonicaliser canonicaliser(raw, arena.bytes(raw.size() + 1), merge_slashes);
  if (!canonicaliser.run(uri)) return std::nullopt;
  return uri;
}

std::string_view uri_extension(std::string_view path) {
  for (std::size_t i = path.size(); i > 2; --i) {
    const char c = path[i - 1];
    if (c == '/') return {};
    if (c == '.' && path[i - 2] != '/') return path.substr(i);
  }
  return {};
}

InternalUri split_args(std::string_view text) {
  const std::size_t at = text.find('?');
  if (at == std::string_view::npos) return {text, {}};
  return {text.substr(0, at), text.substr(at + 1)};
}

std::optional<InternalUri> parse_internal_uri(Arena& arena, std::string_view text) {
  InternalUri uri = split_args(text);
  if (uri.path.empty() || has_parent_segment(uri.path)) return std::nullopt;
  uri.path = unescape_uri(arena, uri.path);
  if (uri.path.empty() || uri.path.find('\0') != std::string_view::npos) return std::nullopt;
  if (has_parent_segment(uri.path)) return std::nullopt;
  return uri;
}

std::optional<std::string_view> find_arg(std::string_view args, std::string_view name) {
  while (!args.empty()) {
    const std::size_t end = args.find('&');
    const std::string_view arg = args.substr(0, end);
    if (arg.size() > name.size() && arg[name.size()] == '=' && starts_with_nocase(arg, name)) {
      return arg.substr(name.size() + 1);
    }
    if (end == std::string_view::npos) break;
    args.remove_prefix(end + 1);
  }
  return std::nullopt;
}

std::optional<unsigned char> find_unsafe_uri_byte(std::string_view text) {
  for (char c : text) {
    if (kUnsafe.contains(c)) return static_cast<unsigned char>(c);
  }
  return std::nullopt;
}

}  // namespace mp::http
