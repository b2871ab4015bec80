#include "base/arena.hpp"

#include <cstdlib>

namespace mp {
namespace {

constexpr std::size_t kBlockSize = 8192;
constexpr std::size_t kCachedBlocks = 256;

// Standard-size blocks wait here for the next arena of the same thread.
struct BlockCache {
  void* slots[kCachedBlocks];
  std::size_t count = 0;
  ~BlockCache() {
    while (count > 0) std::free(slots[--count]);
  }
};
thread_local BlockCache cache;

}  // namespace

void* Arena::grow(std::size_t size, std::size_t align) {
  const std::size_t need = sizeof(Block) + size + align;
  const std::size_t block_size = need > kBlockSize ? need : kBlockSize;
  void* memory =
      block_size == kBlockSize && cache.count > 0 ? cache.slots[--cache.count] : std::malloc(block_size);
  if (memory == nullptr) throw std::bad_alloc();
  blocks_ = new (memory) Block{blocks_, block_size};
  used_ += block_size;
  char* begin = static_cast<char*>(memory) + sizeof(Block);
  auto at = (reinterpret_cast<std::uintptr_t>(begin) + (align - 1)) & ~(align - 1);
  char* end = static_cast<char*>(memory) + block_size;
  // A large object gets a block of its own; the current block goes on serving small ones.
  if (block_size == kBlockSize || cursor_ == nullptr) {
    cursor_ = reinterpret_cast<char*>(at + size);
    limit_ = end;
  }
  return reinterpret_cast<void*>(at);
}

void Arena::reset() {
  while (cleanups_ != nullptr) {
    Cleanup* c = cleanups_;
    cleanups_ = c->next;
    c->run(c->object);
  }
  while (blocks_ != nullptr) {
    Block* next = blocks_->next;
    if (blocks_->size == kBlockSize && cache.count < kCachedBlocks) {
      cache.slots[cache.count++] = blocks_;
    } else {
      std::free(blocks_);
    }
    blocks_ = next;
  }
  cursor_ = limit_ = nullptr;
  used_ = 0;
}

}  // namespace mp
