// Arena: memory that lives exactly as long as its owner (a request, a configuration).
//
// Allocation bumps a pointer; nothing is freed one by one. Objects made with make<T>() that have a
// destructor get it called, newest first, when the arena is reset or destroyed. Blocks are kept in a
// per-thread cache, so that a steady request path takes none from the heap.
// Not thread-safe: one arena belongs to one worker.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>

namespace mp {

class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() { reset(); }

  // Uninitialised bytes; `align` is a power of two. Throws std::bad_alloc when memory is exhausted.
  void* allocate(std::size_t size, std::size_t align = alignof(std::max_align_t)) {
    auto at = (reinterpret_cast<std::uintptr_t>(cursor_) + (align - 1)) & ~(align - 1);
    if (at + size > reinterpret_cast<std::uintptr_t>(limit_)) [[unlikely]]
      return grow(size, align);
    cursor_ = reinterpret_cast<char*>(at + size);
    return reinterpret_cast<void*>(at);
  }

  char* bytes(std::size_t size) { return static_cast<char*>(allocate(size, 1)); }

  template <class T>
  T* array(std::size_t count) {
    static_assert(std::is_trivially_destructible_v<T>);
    T* p = static_cast<T*>(allocate(count * sizeof(T), alignof(T)));
    for (std::size_t i = 0; i < count; ++i) new (p + i) T();
    return p;
  }

  // A T owned by the arena; its destructor runs at reset().
  template <class T, class... Args>
  T* make(Args&&... args) {
    if constexpr (std::is_trivially_destructible_v<T>) {
      return new (allocate(sizeof(T), alignof(T))) T(std::forward<Args>(args)...);
    } else {
      using Kept = Cleaned<T>;
      auto* kept = new (allocate(sizeof(Kept), alignof(Kept))) Kept(std::forward<Args>(args)...);
      kept->next = cleanups_;
      cleanups_ = kept;
      return &kept->object;
    }
  }

  // A copy of `text` that lives as long as the arena.
  std::string_view copy(std::string_view text) {
    if (text.empty()) return {};
    char* p = bytes(text.size());
    std::memcpy(p, text.data(), text.size());
    return {p, text.size()};
  }

  // All pieces one after the other.
  template <class... Views>
  std::string_view concat(const Views&... views) {
    std::size_t size = (std::string_view(views).size() + ... + 0);
    char* start = bytes(size);
    char* p = start;
    ((std::string_view(views).copy(p, std::string_view(views).size()), p += std::string_view(views).size()),
     ...);
    return {start, size};
  }

  // Runs destructors and gives all blocks back; every pointer into the arena dangles afterwards.
  void reset();

  std::size_t used() const { return used_; }  // bytes in blocks, for limits and diagnostics

 private:
  struct Block {
    Block* next;
    std::size_t size;
  };
  struct Cleanup {
    void (*run)(Cleanup* self);
    Cleanup* next;
  };
  template <class T>
  struct Cleaned : Cleanup {
    template <class... Args>
    explicit Cleaned(Args&&... args) : object(std::forward<Args>(args)...) {
      run = [](Cleanup* self) { static_cast<Cleaned*>(self)->~Cleaned(); };
    }
    T object;
  };
  void* grow(std::size_t size, std::size_t align);

  alignas(std::max_align_t) static inline char nowhere_[1];  // an empty arena is full

  char* cursor_ = nowhere_;
  char* limit_ = nowhere_;
  Block* blocks_ = nullptr;
  Cleanup* cleanups_ = nullptr;
  std::size_t used_ = 0;
};

}  // namespace mp
