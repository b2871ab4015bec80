#include "base/arena.hpp"

#include <cstdlib>

#include "base/block_pool.hpp"

namespace mp {
namespace {

// The first block of a request that only waits is mostly its only one: it is no larger than a plain request
// needs. What one that goes on needs then comes from a block that another has just left.
constexpr std::size_t kFirstSize = 4096 - 16;
constexpr std::size_t kBlockSize = 8192;

constinit thread_local BlockPool first_blocks(kFirstSize);
constinit thread_local BlockPool blocks(kBlockSize);

}  // namespace

void* Arena::grow(std::size_t size, std::size_t align) {
  const std::size_t need = sizeof(Block) + size + align;
  BlockPool* const pool = blocks_ == nullptr && need <= kFirstSize ? &first_blocks
                          : need <= kBlockSize                     ? &blocks
                                                                   : nullptr;
  const std::size_t block_size = pool != nullptr ? pool->block_size() : need;
  void* memory = pool != nullptr ? pool->take() : std::malloc(block_size);
  if (memory == nullptr) throw std::bad_alloc();
  blocks_ = new (memory) Block{blocks_, block_size};
  used_ += block_size;
  char* begin = static_cast<char*>(memory) + sizeof(Block);
  auto at = (reinterpret_cast<std::uintptr_t>(begin) + (align - 1)) & ~(align - 1);
  char* end = static_cast<char*>(memory) + block_size;
  // A large object gets a block of its own; the current block goes on serving small ones.
  if (pool != nullptr || cursor_ == nowhere_) {
    cursor_ = reinterpret_cast<char*>(at + size);
    limit_ = end;
  }
  return reinterpret_cast<void*>(at);
}

void Arena::reset() {
  while (cleanups_ != nullptr) {
    Cleanup* c = cleanups_;
    cleanups_ = c->next;
    c->run(c);
  }
  while (blocks_ != nullptr) {
    Block* next = blocks_->next;
    switch (blocks_->size) {
      case kFirstSize:
        first_blocks.give_back(blocks_);
        break;
      case kBlockSize:
        blocks.give_back(blocks_);
        break;
      default:
        std::free(blocks_);
    }
    blocks_ = next;
  }
  cursor_ = limit_ = nowhere_;
  used_ = 0;
}

}  // namespace mp
