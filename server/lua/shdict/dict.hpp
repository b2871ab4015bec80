// ShmDict: the store behind ngx.shared.DICT. A handle of one process on the structures in a zone; made with
// the configuration, before the workers are forked, and valid in all of them. Knows nothing of Lua.
//
// Reading takes no lock. Writing takes the lock of one shard; zones below kShardedSize have one shard and
// evict exactly as nginx does. In larger ones a value that takes the room of the one before it is overwritten
// under the latch of its bucket alone, and a number by one atomic operation. No function waits for anything
// but such a lock or latch. `now` is in milliseconds on a clock that all callers share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/log.hpp"
#include "base/shm/zone.hpp"
#include "lua/shdict/layout.hpp"

// What an operation tells besides its status. The layout is known to lua/moonphase/api/shdict.lua.
extern "C" struct mp_shdict_reply {
  double number;      // a number's value, or a boolean's as 0 or 1
  std::size_t size;   // of a string
  const char* error;  // static text, or null
  int type;           // shdict::Type
  int flags;
  int stale;     // the value has expired
  int forcible;  // valid entries were evicted
};

namespace mp::lua {

class ShmDict {
 public:
  using Reply = mp_shdict_reply;
  using Type = shdict::Type;
  enum class Outcome : int { ok = 0, more_room = 1, failed = -1 };  // failed: see Reply::error
  enum Store : int { kSet = 0, kAdd = 1, kReplace = 2, kSafe = 4 };
  enum class End : std::uint8_t { left, right };

  struct Value {
    Type type = Type::nil;
    double number = 0;       // also of a boolean
    std::string_view bytes;  // of a string
  };

  static constexpr std::size_t kMaxKey = 65535;
  static constexpr std::size_t kShardedSize = 4 << 20;
  static constexpr std::size_t kMaxZone = std::size_t{1} << 34;  // what a Ref reaches, and room to spare

  // The index a zone of this size needs; to be given to Zone::on_attach().
  static std::size_t index_bytes(std::size_t zone_size);

  // Takes over the zone's dictionary, or starts one when the memory is `fresh`.
  ShmDict(Zone& zone, bool fresh);

  std::string_view name() const { return name_; }
  std::size_t capacity() const { return capacity_; }
  std::size_t free_space() const { return std::size_t{pool_.free()} * kShmPage; }
  // Where to tell that a crashed process cost the contents.
  void set_logger(log::Logger logger) { logger_ = logger; }

  // Keys are 1 to kMaxKey bytes; the caller checks. A string is copied to `buffer` when it fits `room`;
  // otherwise more_room and its size. A key that is not there is type nil.
  Outcome get(std::string_view key, std::uint64_t now, bool stale_too, char* buffer, std::size_t room,
              Reply& reply);
  // Set, add or replace by `mode`; nil deletes. `ttl` of 0 is for ever.
  Outcome store(int mode, std::string_view key, const Value& value, std::uint64_t now, std::uint64_t ttl,
                int flags, Reply& reply);
  // Adds to a number; with `initial`, a missing one starts from that. The sum is in reply.number.
  Outcome increment(std::string_view key, double by, const double* initial, std::uint64_t initial_ttl,
                    std::uint64_t now, Reply& reply);

  // What is most often asked of a counter: a number without time or flags in place of such a one, and a sum.
  // False: nothing was done, it takes store() or increment(). `now` is called for entries that have a time.
  using Now = std::uint64_t (*)();
  bool put_number(std::string_view key, double number);
  bool add_number(std::string_view key, double by, Now now, double& sum);

  // Milliseconds left (below 0 when expired, 0 when it never does); false when there is no such key.
  bool ttl(std::string_view key, std::uint64_t now, std::int64_t& left);
  bool expire(std::string_view key, std::uint64_t now, std::uint64_t ttl);

  // Lists. The new length, or the length, is in reply.size. failed with type nil or boolean tells which
  // value accompanies the error (the peer is not consistent about it).
  Outcome push(End end, std::string_view key, const Value& value, std::uint64_t now, Reply& reply);
  Outcome pop(End end, std::string_view key, std::uint64_t now, char* buffer, std::size_t room, Reply& reply);
  Outcome length(std::string_view key, std::uint64_t now, Reply& reply);

  void flush_all(std::uint64_t now);
  std::size_t flush_expired(std::uint64_t now, std::size_t limit);  // 0: all
  // Appends keys, least recently used first, each behind its length in two bytes; returns how many.
  std::size_t keys(std::uint64_t now, std::size_t limit, std::string& out);

  std::uint32_t shards() const { return shard_count_; }
  std::uint32_t resets() const { return control_.resets.load(std::memory_order_relaxed); }

 private:
  using Ref = shdict::Ref;
  using Entry = shdict::Entry;
  using Element = shdict::Element;
  using Bucket = shdict::Bucket;
  using Shard = shdict::Shard;

  // A key of up to kShortKey bytes as words, zero behind its end: hashed and compared without a loop.
  static constexpr std::size_t kShortKey = 16;
  struct Words {
    std::uint64_t low = 0, high = 0;
  };
  static Words words_of(std::string_view key);

  // Where a key belongs.
  struct Spot {
    std::string_view key;
    Words words;  // of a short one
    std::uint32_t hash;
    Shard* shard;
    Bucket* bucket;
  };
  class Held;    // a shard's lock
  class Latch;   // a bucket's latch, alone
  class Window;  // a bucket's latch, under its shard's lock
  class Pinned;  // a bucket whose structure stays as it is

  template <class T>
  T* at(Ref ref) const {
    return reinterpret_cast<T*>(base_ + std::size_t{ref} * 8);
  }
  Ref ref_of(const void* object) const {
    return static_cast<Ref>((static_cast<const std::byte*>(object) - base_) / 8);
  }

  void start();
  void reset_torn();
  void reset_contents();

  Spot spot(std::string_view key) const;
  static std::uint64_t hash_short(const Words& words, std::size_t size, std::uint64_t seed);
  static std::uint64_t hash_long(std::string_view key, std::uint64_t seed);
  static bool same_key(const Entry& entry, const Spot& spot);
  Bucket& bucket_of(Shard& shard, std::uint32_t hash) const;

  // Under the shard's lock.
  Entry* find(const Spot& spot) const;
  static bool expired(const Entry& entry, std::uint64_t now) {
    return entry.expires != 0 && entry.expires <= now;
  }
  void link_newest(Shard& shard, Entry& entry);
  void unlink(Shard& shard, Entry& entry);
  void touch(Shard& shard, Entry& entry);
  void clear_list(Shard& shard, Entry& entry);
  void remove(Shard& shard, Entry& entry);
  Entry* insert(const Spot& spot, Entry* entry);
  // Drops up to two expired entries from the old end; by force the oldest one before that. How many it did.
  int drop_oldest(Shard& shard, std::uint64_t now, bool by_force);
  bool spare_used(Shard& shard, Entry& entry);
  Entry* make_entry(const Spot& spot, std::size_t value_size, std::uint64_t now, bool may_evict,
                    Reply& reply);
  // Evicts from the other shards, or finds that the memory has to be reset; false when neither helps.
  bool make_room(const Shard& except, std::size_t need, std::uint64_t now, Reply& reply);
  std::size_t entry_bytes(std::size_t key_size, std::size_t value_size) const {
    // The slack of small zones has room for the padding.
    return sizeof(Entry) + (entry_slack_ != 0 ? entry_slack_ + key_size : Entry::padded(key_size)) +
           value_size;
  }
  bool same_room(const Entry& entry, std::size_t value_size) const;
  static void write_value(Entry& entry, const Value& value);

  // Waits for the latch; returns what unlatch() puts back. A holder that died is told by Control::torn.
  std::uint32_t latch(Bucket& bucket);
  static void unlatch(Bucket& bucket, std::uint32_t version) {
    bucket.latch.store(version, std::memory_order_release);
  }
  // Under a latch: waits until no process overwrites a number of the bucket (null: of any bucket).
  void wait_for_pins(const Bucket* bucket);
  void try_barriers();
  void revoke_bare_pins(std::uint32_t given);
  shdict::Pin* my_pin();
  shdict::Pin* find_pin();
  void fence(shdict::Pin& pin, std::uint32_t number);
  std::uint32_t number_of(const Bucket& bucket) const {
    return static_cast<std::uint32_t>(&bucket - buckets_) + 1;
  }
  // What needs no other memory and no other place. False: nothing was done, take the shard's lock.
  bool store_in_place(int mode, const Spot& spot, const Value& value, std::uint64_t now, std::uint64_t ttl,
                      int flags, Reply& reply, Outcome& outcome);
  // The same for numbers whose flags and time stay, by one atomic operation. An entry that was found so is
  // remembered: while its bucket's latch shows the same version, it need not be looked for.
  bool put_in_place(const Spot& spot, double number, int flags);
  bool add_in_place(const Spot& spot, double by, std::uint64_t now, double& sum);
  struct Hint {
    Words key;
    std::uint32_t size;  // of the key; 0: nothing is remembered here
    std::uint32_t bucket;
    std::uint64_t version;
    Entry* entry;
    std::uint64_t* number;  // in the entry
    std::uint64_t expires;
    bool plain;         // has neither time nor flags
    std::uint8_t next;  // the hint that was used four uses later
    bool follows;       // it was so twice
  };
  static constexpr int kHintBits = 8;
  static constexpr std::size_t kHints = 1 << kHintBits;
  void expect_next(Hint& hint);
  Hint& hint_at(const Words& words) const;
  void remember(const Spot& spot, Entry& entry, std::uint64_t version);
  template <class Change>
  bool change_hinted(shdict::Pin& pin, std::string_view key, Change change);
  template <class Change>
  bool change_number(shdict::Pin& pin, const Spot& spot, Change change);
  Entry* find_live(const Spot& spot, std::uint64_t now) const;  // under the bucket's latch
  // What get() answers about an entry (or null) that may be garbage.
  Outcome answer(const Entry* entry, std::uint64_t now, bool stale_too, char* buffer, std::size_t room,
                 Reply& reply) const;

  // Without a lock. Calls visit(entry or null), perhaps several times, perhaps on garbage; what the last call
  // did counts when the function returns true. False: too much is going on, take the lock.
  template <class Visit>
  bool read(const Spot& spot, Visit visit) const;
  const Entry* walk(const Spot& spot, bool& overrun) const;
  Outcome get_locked(const Spot& spot, std::uint64_t now, bool stale_too, char* buffer, std::size_t room,
                     Reply& reply);
  bool holds(const void* object, std::size_t bytes) const {
    const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(object) - base_);
    return offset < mapped_ && bytes <= mapped_ - offset;
  }

  enum class Try : std::uint8_t { done, no_memory };
  Try store_once(int mode, const Spot& spot, const Value& value, std::uint64_t now, std::uint64_t ttl,
                 int flags, bool& removed, Reply& reply, Outcome& outcome);
  Try increment_once(const Spot& spot, double by, const double* initial, std::uint64_t initial_ttl,
                     std::uint64_t now, Reply& reply, Outcome& outcome);
  Entry* list_for_push(const Spot& spot, std::uint64_t now, Reply& reply);

  std::string name_;
  std::size_t capacity_;
  std::byte* base_;
  std::size_t mapped_;
  PagePool& pool_;
  shdict::Control& control_;
  Shard* shards_;
  Bucket* buckets_;
  shdict::Pin* pins_;
  shdict::Pin* my_pin_ = nullptr;  // of the process with this id, once it has asked
  std::uint32_t my_pin_process_ = 0;
  std::unique_ptr<Hint[]> hints_;  // of the owner of the pin
  std::uint32_t recent_ = 0;       // the last four hints that were used, a byte each
  std::uint32_t shard_count_;
  std::uint32_t shard_shift_;  // log2 of buckets per shard
  // Bytes that small zones spend on top of ours, so that they hold exactly what they hold in nginx.
  std::size_t entry_slack_;
  std::size_t element_slack_;
  log::Logger logger_;
};

}  // namespace mp::lua
