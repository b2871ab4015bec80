// Native stacks for fibers: mmapped lazily, with a guard page below, pooled by the scheduler.
#pragma once

#include <cstddef>
#include <vector>

namespace mp::fiber {

struct Stack {
  char* base = nullptr;  // lowest usable address; the guard page lies right below
  std::size_t size = 0;
  char* top() const { return base + size; }
};

class StackPool {
 public:
  explicit StackPool(std::size_t stack_size) : size_(stack_size) {}
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;
  ~StackPool();

  Stack take();  // throws std::bad_alloc when the kernel refuses
  void give_back(Stack stack);

  // To be called about once a second: gives the kernel the pages of stacks that nobody took since the last
  // call. A busy worker reuses its stacks without a system call; an idle one keeps few pages.
  void trim();
  bool trim_wanted() const { return free_.size() > clean_ + kKeptTouched; }

  // True when `address` lies in the guard page of `stack`.
  static bool in_guard(const Stack& stack, const void* address);

 private:
  static constexpr std::size_t kKeptTouched = 64;  // free stacks that may keep the pages they have touched

  std::size_t size_;
  std::vector<Stack> free_;     // the last given back is the first taken
  std::size_t clean_ = 0;       // so many at the front have no pages
  std::size_t least_free_ = 0;  // since the last trim(): those in front of it were not needed
};

}  // namespace mp::fiber
