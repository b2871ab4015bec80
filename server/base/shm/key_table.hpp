// KeyTable: keys with a small fixed payload in a zone, in the order of their use. For meters such as request
// and connection limits: every operation locks the whole table and takes well under a microsecond.
//
// The table is a handle of one process; its structures fill the zone's index. An entry is named by a Ticket,
// which stays safe to use when the contents were dropped meanwhile because a process died while changing
// them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

#include "base/shm/lock.hpp"
#include "base/shm/slab.hpp"
#include "base/shm/zone.hpp"

namespace mp {

// What does not depend on the payload.
class KeyTableBase {
 public:
  // The index a zone of this size needs.
  static std::size_t index_bytes(std::size_t zone_size);

  // How often the contents were dropped.
  std::uint32_t generation() const { return head_.generation; }

 protected:
  using Ref = std::uint32_t;  // a place in the zone in units of 8 bytes; 0 is none

  struct Node {
    Ref next;          // in the bucket
    Ref newer, older;  // in the order of use
    std::uint32_t hash;
    std::uint16_t key_size;
    std::uint8_t unused[6];
  };
  struct alignas(64) Head {
    ShmLock lock;
    std::uint64_t seed;
    std::uint32_t generation;
    Ref newest, oldest;
    SlabHeap heap;
  };

  KeyTableBase(Zone& zone, bool fresh, std::size_t key_offset);

  void lock();
  void unlock() { head_.lock.unlock(); }

  Node* at(Ref ref) const { return reinterpret_cast<Node*>(base_ + std::size_t{ref} * 8); }
  Ref ref_of(const void* node) const {
    return static_cast<Ref>((static_cast<const std::byte*>(node) - base_) / 8);
  }
  char* key_of(Node* node) const { return reinterpret_cast<char*>(node) + key_offset_; }

  std::uint32_t hash(std::string_view key) const;
  Node* find(std::string_view key, std::uint32_t hash) const;
  Node* insert(std::string_view key, std::uint32_t hash);  // as the newest; null without memory
  void remove(Node* node);
  void touch(Node* node);
  Node* oldest() const { return head_.oldest == 0 ? nullptr : at(head_.oldest); }

 private:
  void reset();
  void link_newest(Node* node);
  void unlink(Node* node);

  std::byte* base_;
  PagePool& pool_;
  Head& head_;
  Ref* buckets_;
  std::uint32_t bucket_mask_;
  std::size_t key_offset_;
};

template <class Payload>
class KeyTable : public KeyTableBase {
  static_assert(std::is_trivially_copyable_v<Payload> && alignof(Payload) <= 8);

 public:
  struct Entry : Node {
    Payload payload;
  };
  // An entry that others agree to keep (by what its payload says) while the lock is not held.
  struct Ticket {
    Ref ref = 0;
    std::uint32_t generation = 0;
    explicit operator bool() const { return ref != 0; }
  };

  KeyTable(Zone& zone, bool fresh) : KeyTableBase(zone, fresh, sizeof(Entry)) {}

  // The table, locked; all work on entries goes through one.
  class Session {
   public:
    explicit Session(KeyTable& table) : t_(table) { t_.lock(); }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    ~Session() { t_.unlock(); }

    // Moves what it finds to the young end.
    Entry* find(std::string_view key) {
      hash_ = t_.hash(key);
      Node* node = t_.KeyTableBase::find(key, hash_);
      if (node != nullptr) t_.touch(node);
      return static_cast<Entry*>(node);
    }
    // After find() of the same key came back empty. The payload is zeroed. Null when memory is short.
    Entry* insert(std::string_view key) {
      auto* entry = static_cast<Entry*>(t_.KeyTableBase::insert(key, hash_));
      if (entry != nullptr) entry->payload = Payload{};
      return entry;
    }
    void remove(Entry* entry) { t_.KeyTableBase::remove(entry); }
    Entry* oldest() const { return static_cast<Entry*>(t_.KeyTableBase::oldest()); }
    std::string_view key(Entry* entry) const { return {t_.key_of(entry), entry->key_size}; }

    Ticket ticket(const Entry* entry) const { return {t_.ref_of(entry), t_.generation()}; }
    // Null when the contents were dropped since.
    Entry* redeem(Ticket ticket) const {
      if (!ticket || ticket.generation != t_.generation()) return nullptr;
      return static_cast<Entry*>(t_.at(ticket.ref));
    }

   private:
    KeyTable& t_;
    std::uint32_t hash_ = 0;
  };
};

}  // namespace mp
