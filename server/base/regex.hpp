// Regex: a compiled PCRE2 pattern (8-bit), JIT-compiled where the machine can. Immutable after compile(),
// movable, owned by whoever compiled it (configuration, Lua code cache); may be shared by threads.
// RegexWorkspace: what one match needs beside the pattern: result vector, JIT stack, limits. One per
// worker; matches copy their results out, so it is free again as soon as exec() returns.
//
// exec() takes some 6 KB of the caller's stack (the JIT has its own), compile() and exec_dfa() up to 100 KB;
// groups nested deeper than 100 levels are an error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

struct pcre2_real_code_8;
struct pcre2_real_match_context_8;
struct pcre2_real_match_data_8;
struct pcre2_real_jit_stack_8;

namespace mp {

// Outcome of a match. `code` is PCRE2's: the number of captures that took part plus one, or an error.
struct RegexMatch {
  static constexpr int kNone = -1;
  int code = kNone;

  explicit operator bool() const { return code >= 0; }
  bool none() const { return code == kNone; }
  bool failed() const { return code < kNone; }
};

class RegexWorkspace {
 public:
  // PCRE2's own limit of calls in one match; lua_regex_match_limit lowers it.
  static constexpr std::uint32_t kDefaultMatchLimit = 10'000'000;

  RegexWorkspace();
  RegexWorkspace(const RegexWorkspace&) = delete;
  RegexWorkspace& operator=(const RegexWorkspace&) = delete;
  ~RegexWorkspace();

  void set_match_limit(std::uint32_t limit);  // 0: the default

  // The one of this thread, made on first use.
  static RegexWorkspace& of_thread();

 private:
  friend class Regex;
  pcre2_real_match_data_8* data_for(std::size_t pairs);

  pcre2_real_match_context_8* context_;
  pcre2_real_match_context_8* dfa_context_;
  pcre2_real_jit_stack_8* stack_;
  pcre2_real_match_data_8* data_ = nullptr;
  std::size_t pairs_ = 0;
};

class Regex {
 public:
  // Option bits, with PCRE2's values.
  static constexpr std::uint32_t kAllowEmptyClass =
      0x00000001;  // with kMatchUnsetBackref: JavaScript's rules
  static constexpr std::uint32_t kCaseless = 0x00000008;
  static constexpr std::uint32_t kDollarEndOnly = 0x00000010;
  static constexpr std::uint32_t kDotAll = 0x00000020;
  static constexpr std::uint32_t kDupNames = 0x00000040;
  static constexpr std::uint32_t kExtended = 0x00000080;
  static constexpr std::uint32_t kMatchUnsetBackref = 0x00000200;
  static constexpr std::uint32_t kMultiline = 0x00000400;
  static constexpr std::uint32_t kUngreedy = 0x00040000;
  static constexpr std::uint32_t kUtf = 0x00080000;
  static constexpr std::uint32_t kNoUtfCheck = 0x40000000;  // for compile() and exec()
  static constexpr std::uint32_t kAnchored = 0x80000000;    // for compile() and exec()

  enum class Jit : bool { off, on };

  // The error is `pcre2_compile() failed: MESSAGE in "PATTERN" at "TAIL"`; without the tail when the
  // whole pattern was read.
  static Result<Regex> compile(std::string_view pattern, std::uint32_t options = 0, Jit jit = Jit::on);

  Regex(Regex&&) = default;
  Regex& operator=(Regex&&) = default;

  // Searches `subject` from offset `start`. Fills `offsets` with pairs (begin, end) for the whole match and
  // each group, -1 for groups that took no part; pairs beyond the pattern's groups become -1 too. An
  // `offsets` too short for all groups gets the first ones. Subjects are limited to 2 GB.
  RegexMatch exec(std::string_view subject, std::size_t start, std::span<int> offsets,
                  std::uint32_t options = 0, RegexWorkspace& workspace = RegexWorkspace::of_thread()) const;
  RegexMatch exec(std::string_view subject, std::span<int> offsets) const {
    return exec(subject, 0, offsets);
  }
  bool matches(std::string_view subject) const { return static_cast<bool>(exec(subject, 0, {})); }

  // The same with the DFA algorithm: the longest match, and no groups.
  RegexMatch exec_dfa(std::string_view subject, std::size_t start, std::span<int> offsets,
                      std::uint32_t options = 0,
                      RegexWorkspace& workspace = RegexWorkspace::of_thread()) const;

  std::uint32_t captures() const { return captures_; }  // groups, named ones included
  bool jitted() const { return jit_; }

  struct NamedGroup {
    std::string_view name;  // inside the compiled pattern
    std::uint32_t number;
  };
  std::vector<NamedGroup> named_groups() const;

  // The name table as PCRE2 lays it out: entries of `entry_size` bytes, two for the number (big-endian),
  // then the zero-terminated name.
  struct NameTable {
    const unsigned char* entries = nullptr;
    std::uint32_t count = 0;
    std::uint32_t entry_size = 0;
  };
  NameTable name_table() const;

 private:
  struct Free {
    void operator()(pcre2_real_code_8* code) const;
  };
  explicit Regex(pcre2_real_code_8* code);
  void copy_offsets(RegexMatch match, RegexWorkspace& workspace, std::span<int> offsets) const;

  std::unique_ptr<pcre2_real_code_8, Free> code_;
  std::uint32_t captures_ = 0;
  bool jit_ = false;
  bool utf_ = false;
};

}  // namespace mp
