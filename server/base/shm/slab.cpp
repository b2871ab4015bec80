#include "base/shm/slab.hpp"

#include <bit>
#include <cassert>
#include <cstring>

namespace mp {
namespace {

constexpr std::size_t round_up(std::size_t size, std::size_t unit) {
  return (size + unit - 1) / unit * unit;
}

}  // namespace

std::uint32_t usable_pages(std::size_t zone_size) {
  // What nginx spends in front of the pages of a zone: the pool header, nine size classes and their
  // counters, 24 bytes per page, and the way to the next page boundary.
  constexpr std::size_t kHeader = 704;
  constexpr std::size_t kPerPage = 24;
  if (zone_size < kHeader) return 0;
  const std::size_t pages = (zone_size - kHeader) / (kShmPage + kPerPage);
  const std::size_t front = round_up(kHeader + pages * kPerPage, kShmPage);
  const std::size_t fit = zone_size > front ? (zone_size - front) / kShmPage : 0;
  return static_cast<std::uint32_t>(pages < fit ? pages : fit);
}

std::size_t PagePool::footprint(std::uint32_t pages) {
  return round_up(sizeof(PagePool) + pages * sizeof(Page), kShmPage);
}

void PagePool::reset(std::uint32_t pages) {
  total_ = pages;
  start_ = footprint(pages);
  filled_ = 0;
  for (auto& bin : bins_) bin = kNone;
  free_.store(pages, std::memory_order_relaxed);
  if (pages > 0) link(0, pages);
  torn_.store(0, std::memory_order_relaxed);
}

void PagePool::recover() {
  (void)lock_.lock();
  lock_.begin_change();
  reset(total_);
  lock_.unlock();
}

unsigned PagePool::bin_of(std::uint32_t pages) {
  if (pages <= kExactBins) return pages - 1;
  return kExactBins + static_cast<unsigned>(std::bit_width(pages)) - std::bit_width(kExactBins);
}

void PagePool::link(std::uint32_t first, std::uint32_t pages) {
  const unsigned bin = bin_of(pages);
  Page& head = page(first);
  head.state = kFreeFirst;
  head.run = pages;
  head.prev = kNone;
  head.next = bins_[bin];
  if (pages > 1) {
    Page& tail = page(first + pages - 1);
    tail.state = kFreeLast;
    tail.run = pages;
  }
  if (head.next != kNone) page(head.next).prev = first;
  bins_[bin] = first;
  filled_ |= std::uint64_t{1} << bin;
}

void PagePool::unlink(std::uint32_t first) {
  Page& head = page(first);
  const unsigned bin = bin_of(head.run);
  if (head.next != kNone) page(head.next).prev = head.prev;
  if (head.prev != kNone) {
    page(head.prev).next = head.next;
  } else {
    bins_[bin] = head.next;
    if (head.next == kNone) filled_ &= ~(std::uint64_t{1} << bin);
  }
}

std::uint32_t PagePool::find(std::uint32_t pages) {
  const unsigned bin = bin_of(pages);
  // Runs in this bin may be shorter than asked when the bin spans a power of two; any in a higher one fits.
  for (std::uint32_t at = bins_[bin]; at != kNone; at = page(at).next) {
    if (page(at).run >= pages) return at;
  }
  const std::uint64_t higher = filled_ & ~((std::uint64_t{2} << bin) - 1);
  return higher == 0 ? kNone : bins_[std::countr_zero(higher)];
}

bool PagePool::enter() {
  if (lock_.lock() == ShmLock::Found::torn) torn_.store(1, std::memory_order_relaxed);
  if (torn()) {
    lock_.unlock();
    return false;
  }
  lock_.begin_change();
  return true;
}

std::uint32_t PagePool::take(std::uint32_t pages) {
  if (pages == 0 || pages > free() || !enter()) return kNone;
  const std::uint32_t first = find(pages);
  if (first != kNone) {
    unlink(first);
    const std::uint32_t rest = page(first).run - pages;
    if (rest > 0) link(first + pages, rest);
    page(first).state = kInUse;
    page(first).run = pages;
    page(first + pages - 1).state = kInUse;
    free_.store(free() - pages, std::memory_order_relaxed);
  }
  lock_.unlock();
  return first;
}

void PagePool::give(std::uint32_t first) {
  if (!enter()) return;
  std::uint32_t pages = page(first).run;
  free_.store(free() + pages, std::memory_order_relaxed);
  const std::uint32_t after = first + pages;
  if (after < total_ && page(after).state == kFreeFirst) {
    unlink(after);
    pages += page(after).run;
  }
  if (first > 0) {
    const Page& before = page(first - 1);
    if (before.state == kFreeLast || before.state == kFreeFirst) {
      const std::uint32_t joined = before.run;
      unlink(first - joined);
      first -= joined;
      pages += joined;
    }
  }
  link(first, pages);
  lock_.unlock();
}

std::uint32_t SlabHeap::objects_per_page(unsigned shift) {
  const std::uint32_t objects = static_cast<std::uint32_t>(kShmPage >> shift);
  // nginx keeps the bitmap of a page of small objects in the page itself.
  if (objects <= 64) return objects;
  const std::uint32_t bitmap = (objects / 8 + (1u << shift) - 1) >> shift;
  return objects - bitmap;
}

void SlabHeap::reset() {
  for (auto& page : with_room_) page = PagePool::kNone;
}

void SlabHeap::push(PagePool& pool, std::uint32_t index, unsigned shift) {
  std::uint32_t& first = with_room_[shift - kMinShift];
  PagePool::Page& page = pool.page(index);
  page.prev = PagePool::kNone;
  page.next = first;
  if (first != PagePool::kNone) pool.page(first).prev = index;
  first = index;
}

void SlabHeap::remove(PagePool& pool, std::uint32_t index, unsigned shift) {
  const PagePool::Page& page = pool.page(index);
  if (page.next != PagePool::kNone) pool.page(page.next).prev = page.prev;
  if (page.prev != PagePool::kNone) {
    pool.page(page.prev).next = page.next;
  } else {
    with_room_[shift - kMinShift] = page.next;
  }
}

void* SlabHeap::cut(PagePool& pool, unsigned shift) {
  std::uint32_t index = with_room_[shift - kMinShift];
  if (index == PagePool::kNone) {
    index = pool.take(1);
    if (index == PagePool::kNone) return nullptr;
    PagePool::Page& page = pool.page(index);
    page.used = page.fresh = 0;
    page.free = kNoObject;
    page.shift = static_cast<std::uint8_t>(shift);
    push(pool, index, shift);
  }
  PagePool::Page& page = pool.page(index);
  std::byte* base = pool.address(index);
  std::byte* object;
  if (page.free != kNoObject) {
    object = base + (std::size_t{page.free} << shift);
    std::memcpy(&page.free, object, sizeof page.free);
  } else {
    object = base + (std::size_t{page.fresh++} << shift);
  }
  if (++page.used == objects_per_page(shift)) remove(pool, index, shift);
  return object;
}

void* SlabHeap::allocate(PagePool& pool, std::size_t size) {
  if (size <= kMaxObject) {
    const unsigned width = static_cast<unsigned>(std::bit_width(size <= 8 ? 7 : size - 1));
    return cut(pool, width);
  }
  const std::size_t pages = (size + kShmPage - 1) / kShmPage;
  if (pages > pool.total()) return nullptr;
  const std::uint32_t first = pool.take(static_cast<std::uint32_t>(pages));
  if (first == PagePool::kNone) return nullptr;
  pool.page(first).shift = 0;
  return pool.address(first);
}

void SlabHeap::release(PagePool& pool, void* object) {
  const std::uint32_t index = pool.index_of(object);
  PagePool::Page& page = pool.page(index);
  const unsigned shift = page.shift;
  if (shift == 0) {
    pool.give(index);
    return;
  }
  assert(page.used > 0);
  const bool was_full = page.used == objects_per_page(shift);
  if (--page.used == 0) {
    if (!was_full) remove(pool, index, shift);
    pool.give(index);
    return;
  }
  const auto slot =
      static_cast<std::uint16_t>((static_cast<std::byte*>(object) - pool.address(index)) >> shift);
  std::memcpy(object, &page.free, sizeof page.free);
  page.free = slot;
  if (was_full) push(pool, index, shift);
}

}  // namespace mp
