// Whole dictionaries: flushing and listing keys, one shard after the other.
#include "lua/shdict/dict.hpp"
#include "lua/shdict/dict_impl.hpp"

namespace mp::lua {

void ShmDict::flush_all(std::uint64_t now) {
  for (std::uint32_t i = 0; i < shard_count_; ++i) {
    Shard& shard = shards_[i];
    Held held(*this, shard);
    for (Ref ref = shard.newest; ref != 0; ref = at<Entry>(ref)->older) at<Entry>(ref)->expires = 1;
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
      remove(shard, entry);
      if (++dropped == limit) return dropped;
    }
  }
  return dropped;
}

std::size_t ShmDict::keys(std::uint64_t now, std::size_t limit, std::string& out) {
  std::size_t count = 0;
  for (std::uint32_t i = 0; i < shard_count_; ++i) {
    Shard& shard = shards_[i];
    Held held(*this, shard, false);
    for (Ref ref = shard.oldest; ref != 0;) {
      const Entry& entry = *at<Entry>(ref);
      ref = entry.newer;
      if (expired(entry, now)) continue;
      const std::uint16_t size = entry.key_size;
      out.append(reinterpret_cast<const char*>(&size), sizeof size);
      out.append(entry.key(), size);
      if (++count == limit) return count;
    }
  }
  return count;
}

}  // namespace mp::lua
