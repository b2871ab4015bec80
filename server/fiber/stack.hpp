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

  // True when `address` lies in the guard page of `stack`.
  static bool in_guard(const Stack& stack, const void* address);

 private:
  std::size_t size_;
  std::vector<Stack> free_;
};

}  // namespace mp::fiber
