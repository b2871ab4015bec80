#include "base/shm/key_table.hpp"

#include <bit>

#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace mp {
namespace {

std::size_t buckets_for(std::size_t zone_size) {
  return std::bit_ceil(zone_size / 128 + 1);
}

}  // namespace

std::size_t KeyTableBase::index_bytes(std::size_t zone_size) {
  return sizeof(Head) + buckets_for(zone_size) * sizeof(Ref);
}

KeyTableBase::KeyTableBase(Zone& zone, bool fresh, std::size_t key_offset)
    : base_(zone.base()),
      pool_(zone.pool()),
      head_(*static_cast<Head*>(zone.index())),
      buckets_(reinterpret_cast<Ref*>(&head_ + 1)),
      bucket_mask_(static_cast<std::uint32_t>(buckets_for(zone.size()) - 1)),
      key_offset_(key_offset) {
  if (!fresh) return;
  // Keys come from clients: without a secret they could all be made to share a bucket.
  (void)!getrandom(&head_.seed, sizeof head_.seed, 0);
  reset();
}

void KeyTableBase::reset() {
  ++head_.generation;
  head_.newest = head_.oldest = 0;
  head_.heap.reset();
  pool_.recover();
  std::memset(buckets_, 0, (std::size_t{bucket_mask_} + 1) * sizeof(Ref));
}

void KeyTableBase::lock() {
  const bool torn = head_.lock.lock() == ShmLock::Found::torn;
  head_.lock.begin_change();
  if (torn) reset();
}

std::uint32_t KeyTableBase::hash(std::string_view key) const {
  return static_cast<std::uint32_t>(XXH3_64bits_withSeed(key.data(), key.size(), head_.seed));
}

KeyTableBase::Node* KeyTableBase::find(std::string_view key, std::uint32_t hash) const {
  for (Ref ref = buckets_[hash & bucket_mask_]; ref != 0;) {
    Node* node = at(ref);
    if (node->hash == hash && node->key_size == key.size() &&
        std::memcmp(key_of(node), key.data(), key.size()) == 0) {
      return node;
    }
    ref = node->next;
  }
  return nullptr;
}

KeyTableBase::Node* KeyTableBase::insert(std::string_view key, std::uint32_t hash) {
  auto* node = static_cast<Node*>(head_.heap.allocate(pool_, key_offset_ + key.size()));
  if (node == nullptr) return nullptr;
  node->hash = hash;
  node->key_size = static_cast<std::uint16_t>(key.size());
  std::memcpy(key_of(node), key.data(), key.size());
  Ref& bucket = buckets_[hash & bucket_mask_];
  node->next = bucket;
  bucket = ref_of(node);
  link_newest(node);
  return node;
}

void KeyTableBase::remove(Node* node) {
  const Ref ref = ref_of(node);
  Ref* link = &buckets_[node->hash & bucket_mask_];
  while (*link != ref) link = &at(*link)->next;
  *link = node->next;
  unlink(node);
  head_.heap.release(pool_, node);
}

void KeyTableBase::touch(Node* node) {
  if (node->newer == 0) return;
  unlink(node);
  link_newest(node);
}

void KeyTableBase::link_newest(Node* node) {
  const Ref ref = ref_of(node);
  node->newer = 0;
  node->older = head_.newest;
  if (head_.newest != 0) {
    at(head_.newest)->newer = ref;
  } else {
    head_.oldest = ref;
  }
  head_.newest = ref;
}

void KeyTableBase::unlink(Node* node) {
  (node->newer != 0 ? at(node->newer)->older : head_.newest) = node->older;
  (node->older != 0 ? at(node->older)->newer : head_.oldest) = node->newer;
}

}  // namespace mp
