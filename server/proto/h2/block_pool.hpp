// BlockPool: memory for what belongs to single requests of HTTP/2, which come and go by the hundred: streams,
// and what nghttp2 allocates for them. Blocks that are given back wait, by their size, for the next who asks.
// There is one for each process, used by its main thread only and never destroyed.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace mp::proto {

class BlockPool {
 public:
  static BlockPool& of_process() {
    static BlockPool& pool = *new BlockPool;
    return pool;
  }

  // Null when memory is short. Aligned as malloc() does.
  void* take(std::size_t size) {
    const std::size_t kind = (size + kStep - 1) / kStep;
    if (kPooled && kind < kKinds && free_[kind] != nullptr) {
      Head* head = free_[kind];
      free_[kind] = head->next;
      kept_ -= head->size;
      return head + 1;
    }
    auto* head = static_cast<Head*>(std::malloc(sizeof(Head) + (kind < kKinds ? kind * kStep : size)));
    if (head == nullptr) return nullptr;
    head->size = kind < kKinds ? kind * kStep : size;
    return head + 1;
  }

  void give(void* block) {
    if (block == nullptr) return;
    Head* head = static_cast<Head*>(block) - 1;
    const std::size_t kind = head->size / kStep;
    if (!kPooled || kind >= kKinds || kept_ + head->size > kMostKept) return std::free(head);
    kept_ += head->size;
    head->next = free_[kind];
    free_[kind] = head;
  }

  void* resize(void* block, std::size_t size) {
    if (block == nullptr) return take(size);
    const std::size_t old = (static_cast<Head*>(block) - 1)->size;
    if (size <= old) return block;
    void* larger = take(size);
    if (larger == nullptr) return nullptr;
    std::memcpy(larger, block, old);
    give(block);
    return larger;
  }

 private:
  struct alignas(16) Head {
    std::size_t size;
    Head* next;  // while it waits
  };
#if defined(__SANITIZE_ADDRESS__)
  static constexpr bool kPooled = false;  // or uses of what was freed would not be seen
#else
  static constexpr bool kPooled = true;
#endif
  static constexpr std::size_t kStep = 64;
  static constexpr std::size_t kKinds = 80;
  static constexpr std::size_t kMostKept = 1024 * 1024;

  Head* free_[kKinds] = {};
  std::size_t kept_ = 0;
};

}  // namespace mp::proto
