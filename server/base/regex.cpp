#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/regex.hpp"

#include <algorithm>
#include <limits>
#include <memory>
#include <new>

#include <pcre2.h>

namespace mp {
namespace {

static_assert(Regex::kAllowEmptyClass == PCRE2_ALLOW_EMPTY_CLASS && Regex::kCaseless == PCRE2_CASELESS);
static_assert(Regex::kDollarEndOnly == PCRE2_DOLLAR_ENDONLY && Regex::kDotAll == PCRE2_DOTALL);
static_assert(Regex::kDupNames == PCRE2_DUPNAMES && Regex::kExtended == PCRE2_EXTENDED);
static_assert(Regex::kMatchUnsetBackref == PCRE2_MATCH_UNSET_BACKREF && Regex::kMultiline == PCRE2_MULTILINE);
static_assert(Regex::kUngreedy == PCRE2_UNGREEDY && Regex::kUtf == PCRE2_UTF);
static_assert(Regex::kNoUtfCheck == PCRE2_NO_UTF_CHECK && Regex::kAnchored == PCRE2_ANCHORED);
static_assert(RegexMatch::kNone == PCRE2_ERROR_NOMATCH);

constexpr std::size_t kFirstPairs = 32;
constexpr std::size_t kJitStackStart = 32 * 1024;
constexpr std::size_t kJitStackLimit = 1024 * 1024;
constexpr std::uint32_t kHeapLimitKb =
    64 * 1024;                           // of the interpreter, which a bad pattern could drive far up
constexpr std::size_t kDfaSpace = 1000;  // ints
// PCRE2 recurses on the caller's stack when it compiles nested groups (640 bytes a level) and when the DFA
// meets groups it must look into (420 bytes a level): both are kept within the stack of a fiber.
constexpr std::uint32_t kMaxNesting = 100;
constexpr std::uint32_t kMaxDfaDepth = 100;

struct FreeCompileContext {
  void operator()(pcre2_compile_context* context) const { pcre2_compile_context_free(context); }
};

template <class T>
T* required(T* made) {
  if (made == nullptr) throw std::bad_alloc();
  return made;
}

PCRE2_SPTR bytes(std::string_view text) {
  return reinterpret_cast<PCRE2_SPTR>(text.data() != nullptr ? text.data() : "");
}

std::string compile_error(int code, std::string_view pattern, std::size_t offset) {
  char message[128];
  pcre2_get_error_message(code, reinterpret_cast<PCRE2_UCHAR*>(message), sizeof message);
  std::string text = "pcre2_compile() failed: ";
  text.append(message).append(" in \"").append(pattern).append("\"");
  if (offset < pattern.size()) text.append(" at \"").append(pattern.substr(offset)).append("\"");
  return text;
}

bool out_of_range(std::string_view subject, std::size_t start) {
  return start > subject.size() || subject.size() > static_cast<std::size_t>(std::numeric_limits<int>::max());
}

}  // namespace

RegexWorkspace::RegexWorkspace()
    : context_(required(pcre2_match_context_create(nullptr))),
      dfa_context_(required(pcre2_match_context_create(nullptr))),
      stack_(pcre2_jit_stack_create(kJitStackStart, kJitStackLimit, nullptr)) {
  if (stack_ != nullptr) pcre2_jit_stack_assign(context_, nullptr, stack_);
  pcre2_set_heap_limit(context_, kHeapLimitKb);
  pcre2_set_heap_limit(dfa_context_, kHeapLimitKb);
  pcre2_set_depth_limit(dfa_context_, kMaxDfaDepth);
}

RegexWorkspace::~RegexWorkspace() {
  pcre2_match_data_free(data_);
  pcre2_match_context_free(context_);
  pcre2_match_context_free(dfa_context_);
  if (stack_ != nullptr) pcre2_jit_stack_free(stack_);
}

void RegexWorkspace::set_match_limit(std::uint32_t limit) {
  pcre2_set_match_limit(context_, limit == 0 ? kDefaultMatchLimit : limit);
  pcre2_set_match_limit(dfa_context_, limit == 0 ? kDefaultMatchLimit : limit);
}

RegexWorkspace& RegexWorkspace::of_thread() {
  thread_local RegexWorkspace workspace;
  return workspace;
}

pcre2_real_match_data_8* RegexWorkspace::data_for(std::size_t pairs) {
  if (pairs > pairs_) {
    pairs = std::max(pairs, kFirstPairs);
    auto* bigger = required(pcre2_match_data_create(static_cast<std::uint32_t>(pairs), nullptr));
    pcre2_match_data_free(data_);
    data_ = bigger;
    pairs_ = pairs;
  }
  return data_;
}

void Regex::Free::operator()(pcre2_real_code_8* code) const {
  pcre2_code_free(code);
}

Regex::Regex(pcre2_real_code_8* code) : code_(code) {
  std::uint32_t options = 0;
  pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &captures_);
  pcre2_pattern_info(code, PCRE2_INFO_ALLOPTIONS, &options);
  utf_ = (options & PCRE2_UTF) != 0;
}

Result<Regex> Regex::compile(std::string_view pattern, std::uint32_t options, Jit jit) {
  int code = 0;
  PCRE2_SIZE offset = 0;
  const std::unique_ptr<pcre2_compile_context, FreeCompileContext> context(
      required(pcre2_compile_context_create(nullptr)));
  pcre2_set_parens_nest_limit(context.get(), kMaxNesting);
  auto* compiled = pcre2_compile(bytes(pattern), pattern.size(), options, &code, &offset, context.get());
  if (compiled == nullptr) return fail(compile_error(code, pattern, offset));
  Regex regex(compiled);
  // A pattern that the JIT cannot do (too big, no executable memory) is interpreted.
  regex.jit_ = jit == Jit::on && pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE) == 0;
  return regex;
}

RegexMatch Regex::exec(std::string_view subject, std::size_t start, std::span<int> offsets,
                       std::uint32_t options, RegexWorkspace& workspace) const {
  if (out_of_range(subject, start)) return {PCRE2_ERROR_BADOFFSET};
  auto* data = workspace.data_for(captures_ + 1);
  RegexMatch match;
  if (jit_ && !utf_ && options == 0) {  // nothing left that pcre2_match() would have to check
    match.code =
        pcre2_jit_match(code_.get(), bytes(subject), subject.size(), start, 0, data, workspace.context_);
  } else {
    match.code =
        pcre2_match(code_.get(), bytes(subject), subject.size(), start, options, data, workspace.context_);
  }
  if (match) copy_offsets(match, workspace, offsets);
  return match;
}

RegexMatch Regex::exec_dfa(std::string_view subject, std::size_t start, std::span<int> offsets,
                           std::uint32_t options, RegexWorkspace& workspace) const {
  if (out_of_range(subject, start)) return {PCRE2_ERROR_BADOFFSET};
  int space[kDfaSpace];
  auto* data = workspace.data_for(1);
  RegexMatch match{pcre2_dfa_match(code_.get(), bytes(subject), subject.size(), start, options, data,
                                   workspace.dfa_context_, space, kDfaSpace)};
  if (match) copy_offsets({1}, workspace, offsets);
  return match;
}

void Regex::copy_offsets(RegexMatch match, RegexWorkspace& workspace, std::span<int> offsets) const {
  const PCRE2_SIZE* found = pcre2_get_ovector_pointer(workspace.data_);
  const std::size_t known = std::min(offsets.size(), 2 * static_cast<std::size_t>(match.code));
  std::size_t i = 0;
  for (; i < known; ++i) offsets[i] = found[i] == PCRE2_UNSET ? -1 : static_cast<int>(found[i]);
  std::fill(offsets.begin() + static_cast<std::ptrdiff_t>(i), offsets.end(), -1);
}

Regex::NameTable Regex::name_table() const {
  NameTable table;
  pcre2_pattern_info(code_.get(), PCRE2_INFO_NAMECOUNT, &table.count);
  if (table.count == 0) return table;
  pcre2_pattern_info(code_.get(), PCRE2_INFO_NAMEENTRYSIZE, &table.entry_size);
  pcre2_pattern_info(code_.get(), PCRE2_INFO_NAMETABLE, &table.entries);
  return table;
}

std::vector<Regex::NamedGroup> Regex::named_groups() const {
  const NameTable table = name_table();
  std::vector<NamedGroup> groups;
  groups.reserve(table.count);
  for (std::uint32_t i = 0; i < table.count; ++i) {
    const unsigned char* entry = table.entries + i * table.entry_size;
    groups.push_back(
        {reinterpret_cast<const char*>(entry + 2), static_cast<std::uint32_t>(entry[0]) << 8 | entry[1]});
  }
  return groups;
}

}  // namespace mp
