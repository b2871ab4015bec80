#include "base/shm/zone.hpp"

#include <cerrno>

#include <fmt/core.h>
#include <sys/mman.h>

namespace mp {
namespace {

constexpr std::size_t round_up(std::size_t size) {
  return (size + kShmPage - 1) / kShmPage * kShmPage;
}

}  // namespace

Result<std::shared_ptr<SharedMapping>> SharedMapping::make(std::size_t size) {
  void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) {
    return fail(system_error(errno, fmt::format("mmap(MAP_ANON|MAP_SHARED, {}) failed", size)));
  }
  return std::make_shared<SharedMapping>(at, size);
}

SharedMapping::~SharedMapping() {
  munmap(at_, size_);
}

Zone* ZoneTable::find(std::string_view name) const {
  for (const auto& zone : zones_) {
    if (zone->name() == name) return zone.get();
  }
  return nullptr;
}

Result<Zone*> ZoneTable::declare(std::string_view name, std::size_t size, ZoneTag tag) {
  Zone* zone = find(name);
  if (zone == nullptr) {
    zones_.push_back(std::make_unique<Zone>(name, size, tag));
    return zones_.back().get();
  }
  if (zone->tag_ != tag) {
    return fail(fmt::format("the shared memory zone \"{}\" is already declared for a different use", name));
  }
  if (zone->size_ == 0) zone->size_ = size;
  if (size != 0 && size != zone->size_) {
    return fail(
        fmt::format("the size {} of shared memory zone \"{}\" conflicts with already declared size {}", size,
                    name, zone->size_));
  }
  return zone;
}

Status ZoneTable::attach(const ZoneTable* previous) {
  for (const auto& zone : zones_) {
    if (zone->size_ == 0) return fail(fmt::format("zero size shared memory zone \"{}\"", zone->name_));
    const Zone* old = previous != nullptr ? previous->find(zone->name_) : nullptr;
    const bool reused = old != nullptr && zone->reusable_ && old->reusable_ && old->memory_ != nullptr &&
                        old->tag_ == zone->tag_ && old->size_ == zone->size_ &&
                        old->index_bytes_ == zone->index_bytes_;
    TRY(map(*zone, reused ? old : nullptr));
    if (!zone->setup_) continue;
    const bool replaces = old != nullptr && !reused && old->tag_ == zone->tag_ && old->memory_ != nullptr;
    zone->former_ = replaces ? old : nullptr;
    const Status ready = zone->setup_(*zone, reused ? old : nullptr);
    zone->former_ = nullptr;
    TRY(ready);
  }
  return {};
}

Status ZoneTable::map(Zone& zone, const Zone* previous) {
  if (previous != nullptr) {
    zone.memory_ = previous->memory_;
    zone.pool_ = previous->pool_;
    return {};
  }
  const std::uint32_t pages = usable_pages(zone.size_);
  const std::size_t front = round_up(zone.index_bytes_);
  auto memory = SharedMapping::make(front + PagePool::footprint(pages) + std::size_t{pages} * kShmPage);
  if (!memory) return fail(std::move(memory.error()));
  zone.memory_ = std::move(*memory);
  zone.pool_ = new (zone.memory_->data() + front) PagePool();
  zone.pool_->reset(pages);
  return {};
}

}  // namespace mp
