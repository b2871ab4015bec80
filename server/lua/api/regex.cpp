// ngx.re: compiled patterns, matches, and substitution by a template.
#include "base/regex.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "lua/api.hpp"
#include "lua/runtime.hpp"

extern "C" {
// What Lua sees of a compiled pattern. `captures` holds the pairs of the last match.
struct mp_regex {
  int ncaptures;
  int name_count;
  int name_entry_size;
  const unsigned char* name_table;
  int* captures;
};
}

namespace mp::lua {
namespace {

// Bits in the `flags` of the functions below.
constexpr int kDfa = 0x02;  // which knows no groups
constexpr int kJit = 0x04;
constexpr int kNoUtfCheck = 0x10;
constexpr int kBadTemplate = -1000;

struct CompiledRegex : mp_regex {
  CompiledRegex(Regex compiled, bool groups) : mp_regex{}, regex(std::move(compiled)) {
    pairs.resize(2 * (regex.captures() + 1));
    captures = pairs.data();
    if (!groups) return;
    const Regex::NameTable names = regex.name_table();
    ncaptures = static_cast<int>(regex.captures());
    name_count = static_cast<int>(names.count);
    name_entry_size = static_cast<int>(names.entry_size);
    name_table = names.entries;
  }
  Regex regex;
  std::vector<int> pairs;
};

// What matches of scripts work with: lua_regex_match_limit is theirs alone.
RegexWorkspace& workspace() {
  thread_local RegexWorkspace space;
  return space;
}

int execute(CompiledRegex& compiled, int flags, std::string_view subject, int at) {
  const std::uint32_t options = (flags & kNoUtfCheck) != 0 ? Regex::kNoUtfCheck : 0;
  const auto start = static_cast<std::size_t>(at);
  const RegexMatch match = (flags & kDfa) != 0
                               ? compiled.regex.exec_dfa(subject, start, compiled.pairs, options, workspace())
                               : compiled.regex.exec(subject, start, compiled.pairs, options, workspace());
  return (flags & kDfa) != 0 && match ? 1 : match.code;
}

// A replacement template, read from left to right: texts and numbers of groups.
class Template {
 public:
  explicit Template(std::string_view text) : text_(text) {}

  // The next part: a text, or a group when `group` becomes one. False at the end, or when `bad`.
  bool next(std::string_view& text, int& group) {
    group = -1;
    if (at_ == text_.size()) return false;
    if (text_[at_] != '$') {
      const std::size_t end = std::min(text_.find('$', at_), text_.size());
      text = text_.substr(at_, end - at_);
      at_ = end;
      return true;
    }
    if (++at_ == text_.size()) return refuse();
    if (text_[at_] == '$') {
      text = text_.substr(at_++, 1);
      return true;
    }
    return read_group(group);
  }
  bool bad() const { return bad_; }

 private:
  bool read_group(int& group) {
    const bool bracket = text_[at_] == '{';
    if (bracket && ++at_ == text_.size()) return refuse();
    const std::size_t begin = at_;
    constexpr int kMost = 1 << 20;
    int number = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      if (number < kMost) number = number * 10 + (text_[at_] - '0');
    }
    if (at_ == begin) return refuse_name(begin);
    if (bracket) {
      if (at_ == text_.size() || text_[at_] != '}') {
        log::error(logger(), "the closing bracket in \"{}\" variable is missing",
                   text_.substr(begin, at_ - begin));
        bad_ = true;
        return false;
      }
      ++at_;
    }
    group = number;
    return true;
  }
  bool refuse_name(std::size_t begin) {
    std::size_t end = begin;
    auto is_name = [](char c) {
      return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    };
    while (end < text_.size() && is_name(text_[end])) ++end;
    if (end == begin) return refuse();
    log::error(logger(), "attempt to use named capturing variable \"{}\" (named captures not supported yet)",
               text_.substr(begin, end - begin));
    bad_ = true;
    return false;
  }
  bool refuse() {
    log::error(logger(), "lua script: invalid capturing variable name found in \"{}\"", text_);
    bad_ = true;
    return false;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool bad_ = false;
};

bool is_valid(std::string_view replacement) {
  Template parts(replacement);
  std::string_view text;
  int group = -1;
  while (parts.next(text, group)) {
  }
  return !parts.bad();
}

void append_replacement(std::string& out, std::string_view replacement, const CompiledRegex& compiled,
                        std::string_view subject) {
  Template parts(replacement);
  std::string_view text;
  int group = -1;
  while (parts.next(text, group)) {
    if (group < 0) {
      out.append(text);
    } else if (group <= compiled.ncaptures) {
      const int from = compiled.captures[2 * group];
      if (from >= 0)
        out.append(subject, static_cast<std::size_t>(from),
                   static_cast<std::size_t>(compiled.captures[2 * group + 1] - from));
    }
  }
}

// limits(): how many compiled patterns are kept. Takes the match limit of the configuration into force.
int limits(lua_State* L) {
  const conf::Configuration* configuration = Vm::of(L).configuration();
  const RuntimeMain* main =
      configuration != nullptr ? runtime_main(const_cast<conf::Configuration&>(*configuration)) : nullptr;
  const RuntimeMain defaults;
  if (main == nullptr) main = &defaults;
  workspace().set_match_limit(static_cast<std::uint32_t>(main->regex_match_limit));
  lua_pushinteger(L, main->regex_cache_max_entries);
  return 1;
}

constexpr luaL_Reg kFunctions[] = {
    {"limits", limits},
};

CompiledRegex& compiled_of(mp_regex* regex) {
  return *static_cast<CompiledRegex*>(regex);
}

}  // namespace

extern const Group kRegexGroup = {"regex", kFunctions};

}  // namespace mp::lua

extern "C" {

// The compiled pattern, or null with the error's text in `error`, good until the next call.
mp_regex* mp_regex_compile(const char* pattern, std::size_t size, std::uint32_t options, int flags,
                           mp::lua::Str* error) {
  using namespace mp;
  auto compiled = Regex::compile(lua::view(pattern, size), options,
                                 (flags & lua::kJit) != 0 ? Regex::Jit::on : Regex::Jit::off);
  if (compiled && compiled->jitted()) log::debug(lua::logger(), "pcre2 JIT compiled successfully");
  if (compiled) return new lua::CompiledRegex(std::move(*compiled), (flags & lua::kDfa) == 0);
  thread_local std::string text;
  text = std::move(compiled.error().text);
  *error = lua::str(text);
  return nullptr;
}

void mp_regex_free(mp_regex* regex) {
  delete &mp::lua::compiled_of(regex);
}

// PCRE2's result: -1 no match, less: an error, else the number of groups up to the last that took part, plus
// one.
int mp_regex_exec(mp_regex* regex, int flags, const char* subject, std::size_t size, int at) {
  return mp::lua::execute(mp::lua::compiled_of(regex), flags, mp::lua::view(subject, size), at);
}

// Replaces the first match, or all; `count` says how many, `out` is good until the next call. 0, PCRE2's
// error, or -1000 for a bad template.
int mp_regex_sub(mp_regex* regex, int flags, const char* subject_data, std::size_t size,
                 const char* replacement_data, std::size_t replacement_size, int global, mp::lua::Str* out,
                 int* count) {
  using namespace mp::lua;
  CompiledRegex& compiled = compiled_of(regex);
  const std::string_view subject = view(subject_data, size);
  const std::string_view replacement = view(replacement_data, replacement_size);
  const bool plain = replacement.find('$') == std::string_view::npos;
  if (!plain && !is_valid(replacement)) return kBadTemplate;
  thread_local std::string result;
  result.clear();
  constexpr std::size_t kMostKept = 1024 * 1024;
  if (result.capacity() > kMostKept) result.shrink_to_fit();
  *count = 0;
  std::size_t copied = 0;
  for (std::size_t at = 0; at <= size;) {
    const int rc = execute(compiled, flags, subject, static_cast<int>(at));
    if (rc == mp::RegexMatch::kNone) break;
    if (rc < 0) return rc;
    ++*count;
    const auto from = static_cast<std::size_t>(compiled.captures[0]);
    const auto to = static_cast<std::size_t>(compiled.captures[1]);
    if (from > copied) result.append(subject.substr(copied, from - copied));
    if (plain) {
      result.append(replacement);
    } else {
      append_replacement(result, replacement, compiled, subject);
    }
    copied = to;
    at = to == from ? to + 1 : to;
    if (global == 0) break;
  }
  if (*count > 0) result.append(subject.substr(std::min(copied, size)));
  *out = str(result);
  return kOk;
}
}
