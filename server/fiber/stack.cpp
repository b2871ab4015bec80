#include "fiber/stack.hpp"

#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

#include <sys/mman.h>
#include <unistd.h>

namespace mp::fiber {
namespace {

constexpr std::size_t kKept = 1024;        // free stacks kept mapped
constexpr std::size_t kKeptTouched = 128;  // of these, how many keep the pages they have touched
const std::size_t kPage = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));

void unmap(Stack stack) {
#if defined(__SANITIZE_ADDRESS__)
  // What is mapped here next is no stack any more.
  __asan_unpoison_memory_region(stack.base, stack.size);
#endif
  munmap(stack.base - kPage, stack.size + kPage);
}

}  // namespace

StackPool::~StackPool() {
  for (Stack s : free_) unmap(s);
}

Stack StackPool::take() {
  if (!free_.empty()) {
    Stack s = free_.back();
    free_.pop_back();
    return s;
  }
  void* p =
      mmap(nullptr, size_ + kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (p == MAP_FAILED) throw std::bad_alloc();
  Stack s{static_cast<char*>(p) + kPage, size_};
  if (mprotect(s.base, s.size, PROT_READ | PROT_WRITE) != 0) {
    unmap(s);
    throw std::bad_alloc();
  }
  return s;
}

void StackPool::give_back(Stack stack) {
  if (free_.size() >= kKept) return unmap(stack);
  if (free_.size() >= kKeptTouched) madvise(stack.base, stack.size, MADV_DONTNEED);
  free_.push_back(stack);
}

bool StackPool::in_guard(const Stack& stack, const void* address) {
  auto* p = static_cast<const char*>(address);
  return p >= stack.base - kPage && p < stack.base;
}

}  // namespace mp::fiber
