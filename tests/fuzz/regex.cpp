// A pattern and a subject, separated by the first zero byte: offsets lie in the subject, and the JIT finds
// the match that the interpreter finds.
#include "base/regex.hpp"

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string_view>

using namespace mp;

namespace {

using Offsets = std::array<int, 20>;

void check_offsets(const Offsets& offsets, std::size_t size) {
  for (const int offset : offsets) assert(offset >= -1 && offset <= static_cast<int>(size));
  assert(offsets[0] >= 0 && offsets[1] >= 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string_view pattern = text.substr(0, text.find('\0'));
  const std::string_view subject = pattern.size() == text.size() ? "" : text.substr(pattern.size() + 1);
  const auto jitted = Regex::compile(pattern, Regex::kDupNames);
  if (!jitted) {
    assert(jitted.error().text.starts_with("pcre2_compile() failed: "));
    return 0;
  }
  const auto plain = Regex::compile(pattern, Regex::kDupNames, Regex::Jit::off);
  assert(plain && plain->captures() == jitted->captures());
  for (const auto& group : plain->named_groups()) assert(group.number <= plain->captures());

  RegexWorkspace workspace;
  workspace.set_match_limit(5000);
  Offsets first{}, second{};
  const RegexMatch a = jitted->exec(subject, 0, first, 0, workspace);
  const RegexMatch b = plain->exec(subject, 0, second, 0, workspace);
  if (a) check_offsets(first, subject.size());
  if (b) check_offsets(second, subject.size());
  // Groups inside possessive repeats may differ between PCRE2's two engines.
  if (a && b) assert(first[0] == second[0] && first[1] == second[1]);
  if (a.none()) assert(!b);
  plain->exec_dfa(subject, 0, first, 0, workspace);
  return 0;
}
