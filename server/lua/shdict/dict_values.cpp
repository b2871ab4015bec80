// Plain values: get, set and its kin, increment, time to live.
#include <cstring>
#include <optional>

#include "lua/shdict/dict.hpp"
#include "lua/shdict/dict_impl.hpp"

namespace mp::lua {
namespace {

using Type = ShmDict::Type;
using Outcome = ShmDict::Outcome;

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

void ShmDict::write_value(Entry& entry, const Value& value) {
  entry.type = value.type;
  if (value.type == Type::string) {
    // The size was set with the entry; an empty string may have no address.
    if (!value.bytes.empty()) std::memcpy(entry.value(), value.bytes.data(), value.bytes.size());
  } else if (value.type == Type::number) {
    std::memcpy(entry.value(), &value.number, sizeof(double));
  } else {
    *entry.value() = value.number != 0;
  }
}

Outcome ShmDict::answer(const Entry* entry, std::uint64_t now, bool stale_too, char* buffer, std::size_t room,
                        Reply& reply) const {
  reply.type = static_cast<int>(Type::nil);
  if (entry == nullptr) return Outcome::ok;
  const std::uint64_t expires = racy(entry->expires);
  const bool stale = expires != 0 && expires <= now;
  if (stale && !stale_too) return Outcome::ok;

  const Type type = racy(entry->type);
  const std::size_t size = racy(entry->value_size);
  const char* bytes = entry->key() + racy(entry->key_size);
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
  if (!read(where, visit)) {
    Held held(*this, *where.shard, false);
    visit(find(where));
  }
  if (live && where.bucket->touched.load(std::memory_order_relaxed) != where.hash) {
    where.bucket->touched.store(where.hash, std::memory_order_relaxed);
  }
  return outcome;
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
  bool removed = false;
  Outcome outcome = Outcome::ok;
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
  const bool live = entry != nullptr && !expired(*entry, now);
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

  // Overwriting is one step for readers: from here on they wait, until the new value is there.
  std::optional<Window> window;
  if (entry != nullptr) {
    window.emplace(*spot.bucket);
    if (value.type != Type::nil && entry->value_size == size && entry->type != Type::list) {
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
  if (entry != nullptr && !expired(*entry, now)) {
    touch(shard, *entry);
    if (entry->type != Type::number) {
      outcome = refuse(reply, "not a number");
      return Try::done;
    }
    double sum;
    std::memcpy(&sum, entry->value(), sizeof sum);
    reply.number = sum += by;
    Window window(*spot.bucket);
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
    if (entry->value_size == sizeof(double) && entry->type != Type::list) {
      Window window(*spot.bucket);
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
    visit(find(where));
  }
  left = expires == 0 ? 0 : static_cast<std::int64_t>(expires) - static_cast<std::int64_t>(now);
  return found;
}

bool ShmDict::expire(std::string_view key, std::uint64_t now, std::uint64_t ttl) {
  const Spot where = spot(key);
  Held held(*this, *where.shard, false);  // one aligned store: nothing to tear
  Entry* entry = find(where);
  if (entry == nullptr) return false;
  entry->expires = deadline(now, ttl);
  return true;
}

}  // namespace mp::lua
