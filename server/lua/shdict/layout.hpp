// What a shared dictionary looks like in its zone. Everything here lives in shared memory and is shared by
// processes of the same build; objects name each other by Ref. Used by ShmDict only.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/shm/lock.hpp"
#include "base/shm/slab.hpp"

namespace mp::lua::shdict {

// The place of an object in the zone, in units of 8 bytes; 0 is none.
using Ref = std::uint32_t;

// Values as Lua numbers its types; a list exists only here.
enum class Type : std::uint8_t { nil = 0, boolean = 1, number = 3, string = 4, list = 5 };

// One key and its value; the key's bytes and the value's follow. What keeps it in its place (hash, links,
// key) changes under the shard's lock only; the value and what belongs to it under the bucket's latch.
// Readers hold nothing: they must treat every field as garbage until the bucket's version proves it was not.
struct Entry {
  std::uint64_t expires;  // milliseconds on the clock of the dictionary's callers; 0: never
  Ref next;               // in the bucket
  std::uint32_t hash;
  Ref newer, older;          // in the shard's order of use
  std::uint32_t value_size;  // of a list: its elements
  union {
    std::int32_t flags;  // the user's
    Ref first;           // of a list
  };
  union {
    Ref last;             // of a list
    std::uint32_t stamp;  // of others, where there are several shards: when it became its shard's newest
  };
  std::uint16_t key_size;
  Type type;
  // Overwritten in place since it became the newest: eviction spares it, once. Changes under nothing.
  std::atomic<std::uint8_t> used;

  char* key() { return reinterpret_cast<char*>(this + 1); }
  const char* key() const { return reinterpret_cast<const char*>(this + 1); }
  // Aligned, so that a number is read and written whole.
  char* value() { return key() + padded(key_size); }
  static constexpr std::size_t padded(std::size_t key_size) { return (key_size + 7) / 8 * 8; }
};
static_assert(sizeof(Entry) == 40);

// One element of a list; its bytes follow `type` directly.
struct Element {
  static constexpr std::size_t kHeader = 13;

  Ref next, prev;
  std::uint32_t size;
  Type type;

  char* value() { return reinterpret_cast<char*>(this) + kHeader; }
};
static_assert(offsetof(Element, type) + 1 == Element::kHeader);

// A chain of entries. The low half of the latch is a version: odd while the chain, the value of an entry on
// it or an entry's memory is being changed, by the process whose id the high half is.
struct Bucket {
  std::atomic<std::uint64_t> latch;
  std::atomic<Ref> head;
  // The hash that a reader looked up last. Readers cannot move what they found to the young end; eviction
  // spares the entry that this names, once.
  std::atomic<std::uint32_t> touched;
};

// Where a process says in which bucket (from 1; 0: none) it is overwriting a number without holding the
// latch. Who has the latch waits until nobody does, before it changes what such a process relies on.
// A bare pin is set without a memory barrier: who has the latch must make all processors pass one before it
// may believe what it reads here, and makes the pin a fenced one by that. The owner takes the fence away
// again when it has worked with it for long.
struct alignas(64) Pin {
  enum Mode : std::uint32_t { kFenced, kBare, kRevoking };
  static constexpr std::uint32_t kModes = 3;  // the bits of `state` that tell the mode
  static constexpr std::uint32_t kTurn =
      4;  // the rest counts changes of the owner's, so that no state comes back

  std::atomic<std::uint32_t> owner;  // its process id; 0: nobody's
  std::atomic<std::uint32_t> bucket;
  std::atomic<std::uint32_t> state;
  std::uint32_t fenced_uses;  // the owner's
};

// A part of the keys with a lock, an order of use and a heap of its own.
struct alignas(64) Shard {
  ShmLock lock;
  Ref newest, oldest;
  std::uint32_t latched;  // the bucket whose latch the holder of the lock has, from 1; 0: none
  SlabHeap heap;
};

// At the start of the zone's index; then the shards, the pins, and each shard's buckets.
struct alignas(64) Control {
  std::uint64_t seed;                 // of the hash: collisions cannot be prepared from outside
  std::atomic<std::uint32_t> torn;    // somebody died while changing things: reset before use
  std::atomic<std::uint32_t> resets;  // how often that happened
  std::atomic<std::uint32_t> pins;    // that were ever given to a process
  std::atomic<std::uint32_t> fenced;  // no pin becomes bare: some process cannot make others pass a barrier
  ShmLock reset_lock;
  // Where there are several shards: counts entries that became the newest of theirs.
  alignas(64) std::atomic<std::uint32_t> sequence;
};

}  // namespace mp::lua::shdict
