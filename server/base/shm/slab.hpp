// Memory inside a zone: PagePool hands out runs of pages, SlabHeap cuts pages into objects of one size.
//
// Both live in shared memory and hold indexes, never pointers. A PagePool belongs to one zone and locks
// itself. A SlabHeap belongs to whoever serialises its callers (a zone may have one heap or many on the same
// pool). Page count, size classes and objects per page are nginx's, so that a zone holds what the same size
// holds there and free space reads the same.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/shm/lock.hpp"

namespace mp {

inline constexpr std::size_t kShmPage = 4096;

// The pages a zone of `zone_size` bytes has for objects; 0 when it is too small to have any.
std::uint32_t usable_pages(std::size_t zone_size);

class PagePool {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;

  // What the pool and its heaps know about a page.
  struct Page {
    std::uint32_t next;  // in a bin of free runs, or in a heap's list of pages with room
    std::uint32_t prev;
    std::uint32_t run;    // free: pages of the run, at both ends; in use: pages of the run, at its first
    std::uint16_t used;   // objects
    std::uint16_t fresh;  // the first object never handed out
    std::uint16_t free;   // the first object given back, or kNoObject
    std::uint8_t state;   // State
    std::uint8_t shift;   // log2 of the object size, when cut into objects
  };

  // Bytes to reserve for a pool of `pages`: itself and its page table, a multiple of the page size.
  static std::size_t footprint(std::uint32_t pages);

  // Starts or restarts the pool; `this` is the first byte of its footprint, the pages follow it.
  void reset(std::uint32_t pages);
  // The same for a pool in use whose owner has locked out every caller; also when a caller died inside.
  void recover();

  // The first page of a run, or kNone. A run comes off the front of the smallest free run that is found
  // quickly; free neighbours are merged at once when it comes back.
  std::uint32_t take(std::uint32_t pages);
  void give(std::uint32_t first);

  std::uint32_t total() const { return total_; }
  std::uint32_t free() const { return free_.load(std::memory_order_relaxed); }
  // A process died inside take() or give(): nothing is handed out until reset().
  bool torn() const { return torn_.load(std::memory_order_relaxed) != 0; }

  Page& page(std::uint32_t index) { return table()[index]; }
  std::byte* address(std::uint32_t index) { return start() + std::size_t{index} * kShmPage; }
  std::uint32_t index_of(const void* object) {
    return static_cast<std::uint32_t>((static_cast<const std::byte*>(object) - start()) / kShmPage);
  }

 private:
  static constexpr unsigned kExactBins = 32;  // runs of 1..32 pages; above, one bin per power of two
  static constexpr unsigned kBins = 64;

  enum State : std::uint8_t { kInUse, kFreeFirst, kFreeLast };

  static unsigned bin_of(std::uint32_t pages);
  Page* table() { return reinterpret_cast<Page*>(reinterpret_cast<std::byte*>(this) + sizeof(PagePool)); }
  std::byte* start() { return reinterpret_cast<std::byte*>(this) + start_; }
  std::uint32_t find(std::uint32_t pages);
  void link(std::uint32_t first, std::uint32_t pages);
  void unlink(std::uint32_t first);
  bool enter();

  ShmLock lock_;
  std::atomic<std::uint32_t> torn_;
  std::atomic<std::uint32_t> free_;
  std::uint32_t total_;
  std::uint64_t start_;   // offset of page 0 from `this`
  std::uint64_t filled_;  // bit i: bins_[i] is not empty
  std::uint32_t bins_[kBins];
};

class SlabHeap {
 public:
  static constexpr std::size_t kMaxObject = kShmPage / 2;  // above, an object is a run of pages

  void reset();

  // `size` bytes aligned to 8, or null.
  void* allocate(PagePool& pool, std::size_t size);
  void release(PagePool& pool, void* object);

  static std::uint32_t objects_per_page(unsigned shift);

 private:
  static constexpr unsigned kMinShift = 3;
  static constexpr unsigned kClasses = 9;  // 8 to 2048 bytes
  static constexpr std::uint16_t kNoObject = 0xffff;

  void* cut(PagePool& pool, unsigned shift);
  void push(PagePool& pool, std::uint32_t index, unsigned shift);
  void remove(PagePool& pool, std::uint32_t index, unsigned shift);

  std::uint32_t with_room_[kClasses];  // first page of each class that has an object to give
};

}  // namespace mp
