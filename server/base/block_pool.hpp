// BlockPool: free memory blocks of one size, kept for whoever needs one next. Last in, first out: a block
// that is taken was mostly in use a moment ago, and is still in the processor's caches. As many are kept as
// were needed at once lately: trim_all(), called about once a second, frees those that nobody took since the
// last call.
//
// One object a thread and purpose, declared `constinit thread_local`: it has no destructor, so that it is
// reached without asking whether it was made. What it holds is freed when the thread ends.
#pragma once

#include <cstddef>

namespace mp {

class BlockPool {
 public:
  constexpr explicit BlockPool(std::size_t block_size) : block_size_(block_size) {}
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  std::size_t block_size() const { return block_size_; }

  // Uninitialised, aligned for anything. Throws std::bad_alloc.
  void* take() {
    if (count_ == 0) [[unlikely]]
      return make();
    void* block = free_[--count_];
    if (count_ < least_) least_ = count_;
    return block;
  }
  void give_back(void* block) {
    if (count_ == capacity_ && !make_room()) [[unlikely]]
      return drop(block);
    free_[count_++] = block;
  }

  // Of all pools of this thread.
  static void trim_all();
  static bool trim_wanted();  // there may be something to free

 private:
  struct ThreadEnd;
  static constexpr std::size_t kKept = 128;  // free blocks that stay in any case

  [[gnu::cold]] void* make();
  [[gnu::cold]] bool make_room();
  [[gnu::cold]] static void drop(void* block);
  void trim();

  std::size_t block_size_;
  void** free_ = nullptr;
  std::size_t count_ = 0;
  std::size_t capacity_ = 0;
  std::size_t least_ = 0;  // since the last trim(): those in front of it were not needed
  BlockPool* next_ = nullptr;
  bool known_ = false;  // to its thread
};

}  // namespace mp
