// Plain values: get, set and its kin, increment, time to live.
#include <atomic>
#include <bit>
#include <cstring>
#include <optional>

#include "lua/shdict/dict.hpp"
#include "lua/shdict/dict_impl.hpp"

namespace mp::lua {
namespace {

using Type = ShmDict::Type;
using Outcome = ShmDict::Outcome;

// The largest value that is copied under a latch alone, where others spin instead of sleeping.
constexpr std::size_t kMostInPlace = 4096;

// What the slab heap spends on an object.
std::size_t room_of(std::size_t size) {
  if (size > SlabHeap::kMaxObject) return (size + kShmPage - 1) / kShmPage * kShmPage;
  return size <= 8 ? 8 : std::bit_ceil(size);
}

// How often a writer that found no memory empties other shards and tries again.
constexpr int kRounds = 8;

std::size_t stored_size(const ShmDict::Value& value) {
  switch (value.type) {
    case Type::string:
      return value.bytes.size();
    case Type::number:
      return sizeof(double);
    case Type::boolean:
      return 1;
    default:
      return 0;
  }
}

std::uint64_t deadline(std::uint64_t now, std::uint64_t ttl) {
  return ttl == 0 ? 0 : now + ttl;
}

Outcome refuse(ShmDict::Reply& reply, const char* error) {
  reply.error = error;
  return Outcome::failed;
}

}  // namespace

bool ShmDict::same_room(const Entry& entry, std::size_t value_size) const {
  return room_of(entry_bytes(entry.key_size, entry.value_size)) ==
         room_of(entry_bytes(entry.key_size, value_size));
}

void ShmDict::write_value(Entry& entry, const Value& value) {
  entry.type = value.type;
  entry.value_size = static_cast<std::uint32_t>(stored_size(value));
  if (value.type == Type::string) {
    // An empty string may have no address.
    if (!value.bytes.empty()) std::memcpy(entry.value(), value.bytes.data(), value.bytes.size());
  } else if (value.type == Type::number) {
    std::atomic_ref(*shdict::number_in(entry))
        .store(std::bit_cast<std::uint64_t>(value.number), std::memory_order_relaxed);
  } else {
    *entry.value() = value.number != 0;
  }
}

// Part of get(), where it is short: numbers and small strings are most of what is read.
[[gnu::always_inline]] inline Outcome ShmDict::answer(const Entry* entry, std::uint64_t now, bool stale_too,
                                                      char* buffer, std::size_t room, Reply& reply) const {
  reply.type = static_cast<int>(Type::nil);
  if (entry == nullptr) return Outcome::ok;
  const std::uint64_t expires = racy(entry->expires);
  const bool stale = expires != 0 && expires <= now;
  if (stale && !stale_too) return Outcome::ok;

  const Type type = racy(entry->type);
  const std::size_t size = racy(entry->value_size);
  const char* bytes = entry->key() + Entry::padded(racy(entry->key_size));
  reply.flags = racy(entry->flags);
  reply.stale = stale;
  reply.type = static_cast<int>(type);
  switch (type) {
    case Type::string:
      reply.size = size;
      if (size > room) return Outcome::more_room;
      if (holds(bytes, size)) std::memcpy(buffer, bytes, size);
      return Outcome::ok;
    case Type::number:
      if (holds(bytes, sizeof(double))) std::memcpy(&reply.number, bytes, sizeof(double));
      return Outcome::ok;
    case Type::boolean:
      reply.number = holds(bytes, 1) && *bytes != 0;
      return Outcome::ok;
    case Type::list:
      return refuse(reply, "value is a list");
    case Type::nil:
      break;
  }
  return refuse(reply, "bad value type");
}

Outcome ShmDict::get(std::string_view key, std::uint64_t now, bool stale_too, char* buffer, std::size_t room,
                     Reply& reply) {
  const Spot where = spot(key);
  Outcome outcome = Outcome::ok;
  bool live = false;
  const auto visit = [&](const Entry* entry) {
    outcome = answer(entry, now, stale_too, buffer, room, reply);
    live = reply.type != static_cast<int>(Type::nil) && !reply.stale;
  };
  if (!read(where, visit)) return get_locked(where, now, stale_too, buffer, room, reply);
  if (live && where.bucket->touched.load(std::memory_order_relaxed) != where.hash) {
    where.bucket->touched.store(where.hash, std::memory_order_relaxed);
  }
  return outcome;
}

[[gnu::noinline]] Outcome ShmDict::get_locked(const Spot& spot, std::uint64_t now, bool stale_too,
                                              char* buffer, std::size_t room, Reply& reply) {
  Held held(*this, *spot.shard, false);
  Window window(*this, *spot.shard, *spot.bucket);
  return answer(find(spot), now, stale_too, buffer, room, reply);
}

ShmDict::Entry* ShmDict::find_live(const Spot& spot, std::uint64_t now) const {
  if (control_.torn.load(std::memory_order_relaxed) != 0) return nullptr;  // links may lead anywhere
  Entry* entry = find(spot);
  return entry != nullptr && entry->type != Type::list && !expired(*entry, now) ? entry : nullptr;
}

bool ShmDict::store_in_place(int mode, const Spot& spot, const Value& value, std::uint64_t now,
                             std::uint64_t ttl, int flags, Reply& reply, Outcome& outcome) {
  if (shard_count_ == 1 || value.type == Type::nil || stored_size(value) > kMostInPlace ||
      spot.bucket->head.load(std::memory_order_relaxed) == 0) {
    return false;
  }
  outcome = Outcome::ok;
  if (mode & kAdd) {
    bool live = false;
    const auto visit = [&](const Entry* entry) {
      const std::uint64_t expires = entry != nullptr ? racy(entry->expires) : 0;
      live = entry != nullptr && (expires == 0 || expires > now);
    };
    if (!read(spot, visit) || !live) return false;
    if (spot.bucket->touched.load(std::memory_order_relaxed) != spot.hash) {
      spot.bucket->touched.store(spot.hash, std::memory_order_relaxed);
    }
    outcome = refuse(reply, "exists");
    return true;
  }
  const bool number = value.type == Type::number;
  expect_write(at<Entry>(spot.bucket->head.load(std::memory_order_relaxed)));
  Latch held(*this, *spot.bucket);
  Entry* entry = find_live(spot, now);
  if (entry == nullptr || !same_room(*entry, stored_size(value))) return false;
  if (number || entry->type == Type::number) wait_for_pins(spot.bucket);
  entry->used.store(1, std::memory_order_relaxed);
  entry->expires = deadline(now, ttl);
  entry->flags = flags;
  write_value(*entry, value);
  return true;
}

Outcome ShmDict::store(int mode, std::string_view key, const Value& value, std::uint64_t now,
                       std::uint64_t ttl, int flags, Reply& reply) {
  reply.forcible = 0;
  if (value.type == Type::nil && (mode & (kAdd | kReplace))) {
    return refuse(reply, "attempt to add or replace nil values");
  }
  // Where eviction need not be exactly nginx's, a value that can never fit costs nobody else's.
  if (shard_count_ > 1 && stored_size(value) > capacity_) return refuse(reply, "no memory");
  const Spot where = spot(key);
  if (value.type == Type::number && ttl == 0 && (mode & kAdd) == 0 &&
      put_in_place(where, value.number, flags)) {
    return Outcome::ok;
  }
  bool removed = false;
  Outcome outcome = Outcome::ok;
  if (store_in_place(mode, where, value, now, ttl, flags, reply, outcome)) return outcome;
  for (int round = 0; round < kRounds; ++round) {
    if (store_once(mode, where, value, now, ttl, flags, removed, reply, outcome) == Try::done) return outcome;
    if (!make_room(*where.shard, entry_bytes(key.size(), stored_size(value)), now, reply)) break;
  }
  return refuse(reply, "no memory");
}

ShmDict::Try ShmDict::store_once(int mode, const Spot& spot, const Value& value, std::uint64_t now,
                                 std::uint64_t ttl, int flags, bool& removed, Reply& reply,
                                 Outcome& outcome) {
  Shard& shard = *spot.shard;
  Held held(*this, shard);
  drop_oldest(shard, now, false);
  Entry* entry = find(spot);
  bool live = entry != nullptr && !expired(*entry, now);
  // Overwriting is one step for readers: with the window open they wait, until the new value is there.
  std::optional<Window> window;
  if (entry != nullptr && !live) {
    window.emplace(*this, shard, *spot.bucket);
    live = !expired(*entry, now);  // it may have been renewed just now
  }
  if (live) touch(shard, *entry);
  if ((mode & kReplace) && !live && !removed) {
    outcome = refuse(reply, "not found");
    return Try::done;
  }
  if ((mode & kAdd) && live) {
    outcome = refuse(reply, "exists");
    return Try::done;
  }
  outcome = Outcome::ok;
  const std::size_t size = stored_size(value);
  if (entry == nullptr && value.type == Type::nil) return Try::done;

  if (entry != nullptr) {
    if (!window) window.emplace(*this, shard, *spot.bucket);
    if (value.type != Type::nil && entry->type != Type::list && same_room(*entry, size)) {
      touch(shard, *entry);
      entry->expires = deadline(now, ttl);
      entry->flags = flags;
      write_value(*entry, value);
      return Try::done;
    }
    remove(shard, *entry);
    removed = true;
    if (value.type == Type::nil) return Try::done;
  }
  const bool may_evict = (mode & kSafe) == 0;
  entry = make_entry(spot, size, now, may_evict, reply);
  if (entry == nullptr) {
    if (may_evict || pool_.torn()) return Try::no_memory;
    outcome = refuse(reply, "no memory");
    return Try::done;
  }
  entry->expires = deadline(now, ttl);
  entry->flags = flags;
  write_value(*entry, value);
  insert(spot, entry);
  return Try::done;
}

Outcome ShmDict::increment(std::string_view key, double by, const double* initial, std::uint64_t initial_ttl,
                           std::uint64_t now, Reply& reply) {
  reply.forcible = 0;
  const Spot where = spot(key);
  Outcome outcome = Outcome::ok;
  if (add_in_place(where, by, now, reply.number)) return outcome;
  for (int round = 0; round < kRounds; ++round) {
    if (increment_once(where, by, initial, initial_ttl, now, reply, outcome) == Try::done) return outcome;
    if (!make_room(*where.shard, entry_bytes(key.size(), sizeof(double)), now, reply)) break;
  }
  return refuse(reply, "no memory");
}

ShmDict::Try ShmDict::increment_once(const Spot& spot, double by, const double* initial,
                                     std::uint64_t initial_ttl, std::uint64_t now, Reply& reply,
                                     Outcome& outcome) {
  Shard& shard = *spot.shard;
  Held held(*this, shard);
  drop_oldest(shard, now, false);
  Entry* entry = find(spot);
  outcome = Outcome::ok;
  std::optional<Window> window;
  if (entry != nullptr) window.emplace(*this, shard, *spot.bucket);
  if (entry != nullptr && !expired(*entry, now)) {
    touch(shard, *entry);
    if (entry->type != Type::number) {
      outcome = refuse(reply, "not a number");
      return Try::done;
    }
    double sum;
    std::memcpy(&sum, entry->value(), sizeof sum);
    reply.number = sum += by;
    std::memcpy(entry->value(), &sum, sizeof sum);
    return Try::done;
  }
  if (initial == nullptr) {
    outcome = refuse(reply, "not found");
    return Try::done;
  }
  const Value value{Type::number, *initial + by, {}};
  reply.number = value.number;
  if (entry != nullptr) {
    if (entry->type != Type::list && same_room(*entry, sizeof(double))) {
      touch(shard, *entry);
      entry->expires = deadline(now, initial_ttl);
      entry->flags = 0;
      write_value(*entry, value);
      return Try::done;
    }
    remove(shard, *entry);
  }
  entry = make_entry(spot, sizeof(double), now, true, reply);
  if (entry == nullptr) return Try::no_memory;
  entry->expires = deadline(now, initial_ttl);
  entry->flags = 0;
  write_value(*entry, value);
  insert(spot, entry);
  return Try::done;
}

bool ShmDict::ttl(std::string_view key, std::uint64_t now, std::int64_t& left) {
  const Spot where = spot(key);
  bool found = false;
  std::uint64_t expires = 0;
  const auto visit = [&](const Entry* entry) {
    found = entry != nullptr;
    if (found) expires = racy(entry->expires);
  };
  if (!read(where, visit)) {
    Held held(*this, *where.shard, false);
    Window window(*this, *where.shard, *where.bucket);
    visit(find(where));
  }
  left = expires == 0 ? 0 : static_cast<std::int64_t>(expires) - static_cast<std::int64_t>(now);
  return found;
}

bool ShmDict::expire(std::string_view key, std::uint64_t now, std::uint64_t ttl) {
  const Spot where = spot(key);
  Held held(*this, *where.shard);
  Entry* entry = find(where);
  if (entry == nullptr) return false;
  Window window(*this, *where.shard, *where.bucket);  // who remembers the entry remembers its time
  entry->expires = deadline(now, ttl);
  return true;
}

}  // namespace mp::lua
