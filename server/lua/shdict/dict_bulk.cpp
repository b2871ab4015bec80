// Whole dictionaries: flushing and listing keys, one shard after the other.
#include <algorithm>
#include <string>
#include <vector>

#include "lua/shdict/dict.hpp"
#include "lua/shdict/dict_impl.hpp"

namespace mp::lua {

void ShmDict::flush_all(std::uint64_t now) {
  for (std::uint32_t i = 0; i < shard_count_; ++i) {
    Shard& shard = shards_[i];
    Held held(*this, shard);
    for (Ref ref = shard.newest; ref != 0; ref = at<Entry>(ref)->older) {
      Entry& entry = *at<Entry>(ref);
      Window window(*this, shard,
                    bucket_of(shard, entry.hash));  // who remembers the entry remembers its time
      entry.expires = 1;
    }
    drop_oldest(shard, now, true);
  }
}

std::size_t ShmDict::flush_expired(std::uint64_t now, std::size_t limit) {
  std::size_t dropped = 0;
  for (std::uint32_t i = 0; i < shard_count_; ++i) {
    Shard& shard = shards_[i];
    Held held(*this, shard);
    for (Ref ref = shard.oldest; ref != 0;) {
      Entry& entry = *at<Entry>(ref);
      ref = entry.newer;
      if (!expired(entry, now)) continue;
      Window window(*this, shard, bucket_of(shard, entry.hash));
      if (!expired(entry, now)) continue;  // renewed just now
      remove(shard, entry);
      if (++dropped == limit) return dropped;
    }
  }
  return dropped;
}

// Shards are looked at one after the other; what entries were stamped with puts their keys into one order.
std::size_t ShmDict::keys(std::uint64_t now, std::size_t limit, std::string& out) {
  struct Found {
    std::int32_t age;
    std::uint16_t size;
    std::size_t at;  // in `text`
  };
  std::vector<Found> found;
  std::string text;
  const std::uint32_t latest = control_.sequence.load(std::memory_order_relaxed);
  for (std::uint32_t i = 0; i < shard_count_; ++i) {
    Shard& shard = shards_[i];
    Held held(*this, shard, false);
    std::size_t count = 0;
    std::uint32_t stamp = latest;
    for (Ref ref = shard.oldest; ref != 0;) {
      const Entry& entry = *at<Entry>(ref);
      ref = entry.newer;
      if (entry.type != Type::list) stamp = entry.stamp;  // a list goes with the one before it
      if (expired(entry, now)) continue;
      found.push_back({static_cast<std::int32_t>(latest - stamp), entry.key_size, text.size()});
      text.append(entry.key(), entry.key_size);
      if (++count == limit) break;
    }
  }
  if (shard_count_ > 1) {
    std::stable_sort(found.begin(), found.end(),
                     [](const Found& a, const Found& b) { return a.age > b.age; });
  }
  if (limit != 0 && found.size() > limit) found.resize(limit);
  for (const Found& key : found) {
    out.append(reinterpret_cast<const char*>(&key.size), sizeof key.size);
    out.append(text, key.at, key.size);
  }
  return found.size();
}

}  // namespace mp::lua
