#include "base/block_pool.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace mp {
namespace {

constinit thread_local BlockPool* pools = nullptr;
constinit thread_local bool ended = false;  // what comes back now is not kept
constinit thread_local bool roomy = false;  // a pool has room for more than stays in any case

}  // namespace

struct BlockPool::ThreadEnd {
  ~ThreadEnd() {
    ended = true;
    for (BlockPool* pool = pools; pool != nullptr; pool = pool->next_) {
      while (pool->count_ > 0) std::free(pool->free_[--pool->count_]);
      std::free(pool->free_);
      pool->free_ = nullptr;
      pool->capacity_ = 0;
    }
    pools = nullptr;
  }
};

void* BlockPool::make() {
  void* block = std::malloc(block_size_);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

void BlockPool::drop(void* block) {
  std::free(block);
}

bool BlockPool::make_room() {
  if (ended) return false;
  if (!known_) {
    static thread_local ThreadEnd end;
    static_cast<void>(&end);
    known_ = true;
    next_ = pools;
    pools = this;
  }
  const std::size_t capacity = capacity_ == 0 ? kKept : 2 * capacity_;
  void* bigger = std::realloc(free_, capacity * sizeof *free_);
  if (bigger == nullptr) return false;
  free_ = static_cast<void**>(bigger);
  capacity_ = capacity;
  roomy |= capacity > kKept;
  return true;
}

void BlockPool::trim() {
  constexpr std::size_t kAtOnce = 1024;
  const std::size_t unused = std::min({least_, count_ > kKept ? count_ - kKept : 0, kAtOnce});
  // The oldest lie in front.
  for (std::size_t i = 0; i < unused; ++i) std::free(free_[i]);
  std::copy(free_ + unused, free_ + count_, free_);
  count_ -= unused;
  least_ = count_;
  if (count_ > kKept || capacity_ <= kKept) return;
  void* smaller = std::realloc(free_, kKept * sizeof *free_);
  if (smaller == nullptr) return;
  free_ = static_cast<void**>(smaller);
  capacity_ = kKept;
}

void BlockPool::trim_all() {
  roomy = false;
  for (BlockPool* pool = pools; pool != nullptr; pool = pool->next_) {
    pool->trim();
    roomy |= pool->capacity_ > kKept;
  }
}

bool BlockPool::trim_wanted() {
  return roomy;
}

}  // namespace mp
