#include "tls/memory.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include <malloc.h>
#include <openssl/crypto.h>

#include "base/block_pool.hpp"
#include "base/sanitizer.hpp"

namespace mp::tls {
namespace {

// Steps of 16 bytes up to 1 KB, as malloc() has them, then four for each doubling up to 32 KB: the largest
// are buffers of records and handshakes, and the SSL itself.
constexpr std::size_t kStep = 16;
constexpr std::size_t kHead = 8;  // what malloc() adds to a block
constexpr std::size_t kFine = 64;
constexpr std::size_t kLargest = 32 * 1024;
constexpr std::size_t kKinds = kFine + 4 * 5;

// The bytes that a block of this kind has at least.
constexpr std::size_t size_of(std::size_t kind) {
  if (kind < kFine) return (kind + 1) * kStep + kHead;
  const std::size_t doubling = (kind - kFine) / 4;
  const std::size_t quarter = (kind - kFine) % 4;
  return ((kFine * kStep / 4) << doubling) * (5 + quarter) + kHead;
}

// The largest kind that a block of this size may serve as, kKinds when it is too small or too large for any.
// An allocator that was put in malloc()'s place may have smaller blocks than the smallest kind.
constexpr std::size_t kind_within(std::size_t size) {
  if (size < size_of(0) || size >= size_of(kKinds)) return kKinds;
  if (size < size_of(kFine)) return std::min((size - kHead) / kStep - 1, kFine - 1);
  const std::size_t quarters = (size - kHead) / (kFine * kStep / 4);
  const auto doubling = static_cast<std::size_t>(std::bit_width(quarters)) - 3;
  return kFine + 4 * doubling + (quarters >> doubling) - 5;
}

// The smallest kind that has this many bytes.
constexpr std::size_t kind_for(std::size_t size) {
  if (size <= size_of(0)) return 0;
  return kind_within(size - 1) + 1;
}

constexpr bool kinds_fit() {
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    const std::size_t size = size_of(kind);
    if (kind_within(size) != kind || kind_for(size) != kind || kind_for(size + 1) != kind + 1) return false;
    if (kind_within(size - 1) != (kind > 0 ? kind - 1 : kKinds)) return false;
  }
  if (kind_within(0) != kKinds || kind_within(kHead) != kKinds || kind_within(kStep) != kKinds) return false;
  return size_of(kKinds - 1) >= kLargest;
}
static_assert(kinds_fit());

template <std::size_t... kind>
constexpr std::array<BlockPool, kKinds> one_of_each(std::index_sequence<kind...>) {
  return {BlockPool(size_of(kind))...};
}

struct Pools {
  std::array<BlockPool, kKinds> of_kind = one_of_each(std::make_index_sequence<kKinds>());
  bool used = false;
};
constinit thread_local Pools pools;

// OpenSSL's own callers are C: nothing is thrown at them.
void* take(BlockPool& pool) noexcept {
  try {
    return pool.take();
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void* allocate(std::size_t size, const char*, int) {
  if (!pools.used || size > kLargest) return std::malloc(size);
  return take(pools.of_kind[kind_for(size)]);
}

void give_back(void* block, const char*, int) {
  if (block == nullptr) return;
  const std::size_t kind = pools.used ? kind_within(malloc_usable_size(block)) : kKinds;
  if (kind == kKinds) return std::free(block);
  pools.of_kind[kind].give_back(block);
}

void* resize(void* block, std::size_t size, const char* file, int line) {
  if (!pools.used) return std::realloc(block, size);
  if (block == nullptr) return allocate(size, file, line);
  if (size == 0) return give_back(block, file, line), nullptr;
  const std::size_t now = malloc_usable_size(block);
  if (size <= now && size > now / 2) return block;
  void* const other = allocate(size, file, line);
  if (other == nullptr) return nullptr;
  std::memcpy(other, block, std::min(size, now));
  give_back(block, file, line);
  return other;
}

}  // namespace

void install_memory() {
#if defined(MP_ASAN)
  constexpr bool kWatched = true;  // uses of what was freed would not be seen
#else
  constexpr bool kWatched = false;
#endif
  if (!kWatched) CRYPTO_set_mem_functions(allocate, resize, give_back);
}

void pool_memory() {
  pools.used = true;
}

}  // namespace mp::tls
