#include "fiber/stack.hpp"

#include <algorithm>
#include <new>

#include "base/rarely.hpp"
#include "base/sanitizer.hpp"

#if defined(MP_ASAN)
#include <sanitizer/asan_interface.h>
#endif

#include <sys/mman.h>
#include <unistd.h>

namespace mp::fiber {
namespace {

constexpr std::size_t kKept = 8192;          // free stacks kept mapped
constexpr std::size_t kTrimmedAtOnce = 512;  // stacks in one trim()
const std::size_t kPage = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));

void unmap(Stack stack) {
#if defined(MP_ASAN)
  // What is mapped here next is no stack any more.
  __asan_unpoison_memory_region(stack.base, stack.size);
#endif
  munmap(stack.base - kPage, stack.size + kPage);
}

[[gnu::cold, gnu::noinline]] Stack map(std::size_t size) {
  void* p =
      mmap(nullptr, size + kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (p == MAP_FAILED) throw std::bad_alloc();
  Stack s{static_cast<char*>(p) + kPage, size};
  if (mprotect(s.base, s.size, PROT_READ | PROT_WRITE) != 0) {
    unmap(s);
    throw std::bad_alloc();
  }
  return s;
}

}  // namespace

StackPool::~StackPool() {
  for (Stack s : free_) unmap(s);
}

Stack StackPool::take() {
  if (!free_.empty()) {
    Stack s = free_.back();
    free_.pop_back();
    clean_ = std::min(clean_, free_.size());
    least_free_ = std::min(least_free_, free_.size());
    return s;
  }
  return map(size_);
}

void StackPool::give_back(Stack stack) {
  if (free_.size() >= kKept) return unmap(stack);
  add_to(free_, stack);
}

void StackPool::trim() {
  if (trim_wanted()) {
    const std::size_t unused = std::min(least_free_, free_.size() - kKeptTouched);
    const std::size_t end = std::min(unused, clean_ + kTrimmedAtOnce);
    for (; clean_ < end; ++clean_) madvise(free_[clean_].base, free_[clean_].size, MADV_DONTNEED);
  }
  least_free_ = free_.size();
}

bool StackPool::in_guard(const Stack& stack, const void* address) {
  auto* p = static_cast<const char*>(address);
  return p >= stack.base - kPage && p < stack.base;
}

}  // namespace mp::fiber
