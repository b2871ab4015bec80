// Zones: named shared memory that every worker sees at the same address.
//
// A configuration declares zones while it is read (ZoneTable::declare); the master maps them before it
// forks (ZoneTable::attach). A zone that the previous configuration had with the same name, size and tag
// keeps its memory, so its contents survive a reload and the crash of any worker. The memory goes away
// when the last configuration that uses it does.
//
// Layout: [ index | PagePool and its table | pages ]. The index is room of a size its owner chooses, for the
// owner's fixed structures (buckets, list heads); it comes on top of the declared size and starts zeroed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/shm/slab.hpp"

namespace mp {

// Anonymous MAP_SHARED memory, unmapped by the destructor. Starts zeroed.
class SharedMapping {
 public:
  static Result<std::shared_ptr<SharedMapping>> make(std::size_t size);
  SharedMapping(void* at, std::size_t size) : at_(static_cast<std::byte*>(at)), size_(size) {}
  SharedMapping(const SharedMapping&) = delete;
  SharedMapping& operator=(const SharedMapping&) = delete;
  ~SharedMapping();

  std::byte* data() const { return at_; }
  std::size_t size() const { return size_; }

 private:
  std::byte* at_;
  std::size_t size_;
};

// The address of any object with static storage tells one module's zones from another's.
using ZoneTag = const void*;

class Zone {
 public:
  // Runs in attach(), with the memory in place: makes or finds the owner's structures. `previous` is the
  // zone of the previous configuration whose memory this one took over, or null when it is new (zeroed).
  // A failure refuses the configuration.
  using Setup = std::function<Status(Zone& zone, const Zone* previous)>;

  Zone(std::string_view name, std::size_t size, ZoneTag tag) : name_(name), size_(size), tag_(tag) {}

  std::string_view name() const { return name_; }
  std::size_t size() const { return size_; }  // as declared
  ZoneTag tag() const { return tag_; }

  void on_attach(std::size_t index_bytes, Setup setup) {
    index_bytes_ = index_bytes;
    setup_ = std::move(setup);
  }
  // The contents belong to one configuration (upstream state): a reload gets fresh memory.
  void never_reuse() { reusable_ = false; }

  // The owner's object for this zone and this configuration; also how a second declaration finds the first.
  void set_owner(std::shared_ptr<void> owner) { owner_ = std::move(owner); }
  template <class T>
  T* owner() const {
    return static_cast<T*>(owner_.get());
  }

  // The zone of the same name and use in the previous configuration whose memory was not taken over; null
  // outside of Setup, and when there was none.
  const Zone* former() const { return former_; }

  // After attach(). Pointers into the zone hold for every process forked later.
  std::byte* base() const { return memory_->data(); }
  std::size_t mapped_size() const { return memory_->size(); }
  void* index() const { return memory_->data(); }
  std::size_t index_bytes() const { return index_bytes_; }
  PagePool& pool() const { return *pool_; }

 private:
  friend class ZoneTable;

  std::string name_;
  std::size_t size_;
  ZoneTag tag_;
  bool reusable_ = true;
  std::size_t index_bytes_ = 0;
  Setup setup_;
  std::shared_ptr<void> owner_;
  std::shared_ptr<SharedMapping> memory_;
  PagePool* pool_ = nullptr;
  const Zone* former_ = nullptr;
};

// The zones of one configuration. Owned by it, in the master and (through fork) in the workers.
class ZoneTable {
 public:
  // The zone of this name, made when it is new. Size 0 refers to a zone that is declared elsewhere, before
  // or after. The error texts are nginx's.
  Result<Zone*> declare(std::string_view name, std::size_t size, ZoneTag tag);

  // Maps every zone or takes its memory from `previous` (null at the first start), then sets it up.
  Status attach(const ZoneTable* previous);

  Zone* find(std::string_view name) const;
  const std::vector<std::unique_ptr<Zone>>& zones() const { return zones_; }

 private:
  Status map(Zone& zone, const Zone* previous);

  std::vector<std::unique_ptr<Zone>> zones_;
};

}  // namespace mp
