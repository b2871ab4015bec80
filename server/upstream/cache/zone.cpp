#include "upstream/cache/zone.hpp"

#include <algorithm>
#include <cerrno>
#include <limits>

#include <sys/statvfs.h>
#include <unistd.h>

#include "base/ascii.hpp"
#include "base/clock.hpp"
#include "base/numbers.hpp"

namespace mp::upstream {
namespace {

std::string_view bytes_of(const CacheKey& key) {
  return {reinterpret_cast<const char*>(key.data()), key.size()};
}

std::int64_t now_seconds_wall() {
  return clock().seconds();
}
std::int64_t now_ms() {
  return static_cast<std::int64_t>(clock().monotonic_ms());
}

}  // namespace

std::size_t CacheZone::index_bytes(std::size_t zone_size) {
  return (Table::index_bytes(zone_size) + 63) / 64 * 64 + sizeof(Head);
}

Status CacheZone::attach(Zone& zone, const Zone* previous) {
  if (previous != nullptr) {
    const CacheZone& before = *previous->owner<CacheZone>();
    if (before.path_.path != path_.path) {
      return fail("cache \"" + std::string(zone.name()) + "\" uses the \"" + std::string(path_.path) +
                  "\" cache path while previously it used the \"" + std::string(before.path_.path) +
                  "\" cache path");
    }
    if (!std::equal(path_.levels, path_.levels + 3, before.path_.levels)) {
      return fail("cache \"" + std::string(zone.name()) + "\" had previously different levels");
    }
  }
  table_.emplace(zone, previous == nullptr);
  head_ = reinterpret_cast<Head*>(static_cast<std::byte*>(zone.index()) + index_bytes(zone.size()) -
                                  sizeof(Head));
  if (previous == nullptr) *head_ = {0, 0, std::numeric_limits<std::uint64_t>::max(), 1};
  struct statvfs fs{};
  if (statvfs(std::string(path_.path).c_str(), &fs) == 0 && fs.f_frsize > 0) block_size_ = fs.f_frsize;
  return {};
}

// PATH/c/29/b7f54b2df7773722d382f4809d65029c
std::string CacheZone::file_of(const CacheKey& key) const {
  char hex[32];
  hex_into(hex, key.data(), key.size());
  std::string file(path_.path);
  std::size_t end = sizeof hex;
  for (std::uint8_t length : path_.levels) {
    if (length == 0) break;
    end -= length;
    file.append("/").append(hex + end, length);
  }
  return file.append("/").append(hex, sizeof hex);
}

// ---- requests

CacheZone::Look CacheZone::look(const CacheKey& key, std::int64_t min_uses, Ticket held) {
  using What = Look::What;
  const std::int64_t now = now_seconds_wall();
  for (int attempt = 0;; ++attempt) {
    {
      Table::Session table(*table_);
      Look look;
      Table::Entry* entry = table.find(bytes_of(key));
      const bool known = entry != nullptr;
      if (!known) entry = table.insert(bytes_of(key));
      if (entry != nullptr) {
        Entry& e = entry->payload;
        if (!known) ++head_->count;
        if (!held || !known) {
          ++e.uses;
          ++e.users;
        }
        if (!known) {
          look.what = What::fresh;
        } else if (e.error != 0 && e.error_until >= now) {
          look.what = What::error;
          look.error = e.error;
        } else if (e.error != 0) {
          head_->blocks -= static_cast<std::int64_t>(e.exists ? e.blocks : 0);
          e.error = 0;
          e.exists = false;
          e.inode = e.blocks = 0;
          e.body_start = 0;
          look.what = What::fresh;
        } else if (e.exists || e.uses >= static_cast<std::uint64_t>(min_uses)) {
          look.what = What::ready;
          look.exists = e.exists;
          look.body_start = e.body_start;
        } else {
          look.what = What::scarce;
        }
        if (look.what == What::fresh && min_uses > 1) look.what = What::scarce;
        e.expires = now + limits_.inactive;
        look.inode = e.inode;
        look.ticket = table.ticket(entry);
        return look;
      }
      head_->watermark = head_->count - head_->count / 8;
    }
    if (attempt > 0 || !expire_one()) return {};
  }
}

void CacheZone::found_file(Ticket ticket, std::uint16_t body_start, std::uint64_t inode,
                           std::uint64_t blocks) {
  Table::Session table(*table_);
  Table::Entry* entry = table.redeem(ticket);
  if (entry == nullptr || entry->payload.exists) return;
  Entry& e = entry->payload;
  e.uses = 1;
  e.exists = true;
  e.body_start = body_start;
  e.inode = inode;
  e.blocks = blocks;
  head_->blocks += static_cast<std::int64_t>(blocks);
}

bool CacheZone::claim_stale(Ticket ticket, std::int64_t& lock_until) {
  Table::Session table(*table_);
  Table::Entry* entry = table.redeem(ticket);
  if (entry == nullptr) return true;
  if (entry->payload.updating) return false;
  entry->payload.updating = true;
  lock_until = entry->payload.lock_until;
  return true;
}

bool CacheZone::claim_lock(Ticket ticket, std::int64_t age, std::int64_t& lock_until, std::int64_t& wait) {
  Table::Session table(*table_);
  Table::Entry* entry = table.redeem(ticket);
  if (entry == nullptr) return true;
  Entry& e = entry->payload;
  wait = e.lock_until - now_ms();
  if (e.updating && wait > 0) return false;
  e.updating = true;
  e.lock_until = lock_until = now_ms() + age;
  return true;
}

bool CacheZone::locked(Ticket ticket, std::int64_t& wait) {
  Table::Session table(*table_);
  Table::Entry* entry = table.redeem(ticket);
  if (entry == nullptr) return false;
  wait = entry->payload.lock_until - now_ms();
  return entry->payload.updating && wait > 0;
}

void CacheZone::unclaim(Ticket ticket) {
  Table::Session table(*table_);
  if (Table::Entry* entry = table.redeem(ticket)) entry->payload.updating = false;
}

void CacheZone::leave(Ticket ticket, const Outcome& outcome) {
  Table::Session table(*table_);
  Table::Entry* entry = table.redeem(ticket);
  if (entry == nullptr) return;
  Entry& e = entry->payload;
  if (e.users > 0) --e.users;
  if (outcome.stored) {
    head_->blocks +=
        static_cast<std::int64_t>(outcome.blocks) - static_cast<std::int64_t>(e.exists ? e.blocks : 0);
    e.error = 0;
    e.exists = true;
    e.inode = outcome.inode;
    e.blocks = outcome.blocks;
    e.body_start = outcome.body_start;
    e.updating = false;
    return;
  }
  if (outcome.updating && e.lock_until == outcome.lock_until) e.updating = false;
  if (outcome.error != 0) {
    e.error = static_cast<std::uint16_t>(outcome.error);
    e.error_until = outcome.error_until;
  } else if (outcome.forget && !e.exists && e.users == 0) {
    remove_entry(table, entry);
  }
}

void CacheZone::remove_entry(Table::Session& table, Table::Entry* entry) {
  if (entry->payload.exists) head_->blocks -= static_cast<std::int64_t>(entry->payload.blocks);
  if (head_->count > 0) --head_->count;
  table.remove(entry);
}

// ---- loader and manager

void CacheZone::add_file(const CacheKey& key, std::uint64_t inode, std::uint64_t blocks) {
  Table::Session table(*table_);
  Table::Entry* entry = table.find(bytes_of(key));
  if (entry == nullptr) {
    entry = table.insert(bytes_of(key));
    if (entry == nullptr) return;
    ++head_->count;
    Entry& e = entry->payload;
    e.uses = 1;
    e.exists = true;
    e.inode = inode;
    e.blocks = blocks;
    head_->blocks += static_cast<std::int64_t>(blocks);
  }
  entry->payload.expires = now_seconds_wall() + limits_.inactive;
}

// Removes entry and file, unless a request has it.
bool CacheZone::drop(const CacheKey& key) {
  std::string file;
  {
    Table::Session table(*table_);
    Table::Entry* entry = table.find(bytes_of(key));
    if (entry == nullptr || entry->payload.users != 0) return false;
    if (!entry->payload.exists) {
      remove_entry(table, entry);
      return true;
    }
    // Nobody else removes it while the file goes; who asks for it meanwhile makes a new one.
    ++entry->payload.users;
    head_->blocks -= static_cast<std::int64_t>(entry->payload.blocks);
    entry->payload.exists = false;
    entry->payload.blocks = 0;
    file = file_of(key);
  }
  (void)::unlink(file.c_str());
  Table::Session table(*table_);
  Table::Entry* entry = table.find(bytes_of(key));
  if (entry == nullptr) return true;
  if (entry->payload.users > 0) --entry->payload.users;
  if (entry->payload.users == 0 && !entry->payload.exists) remove_entry(table, entry);
  return true;
}

std::int64_t CacheZone::expire() {
  constexpr std::int64_t kLongest = 10;
  for (;;) {
    CacheKey key;
    {
      Table::Session table(*table_);
      Table::Entry* oldest = table.oldest();
      if (oldest == nullptr) return kLongest;
      const std::int64_t wait = oldest->payload.expires - now_seconds_wall();
      if (wait > 0) return std::min(wait, kLongest);
      const std::string_view found = table.key(oldest);
      std::copy(found.begin(), found.end(), key.begin());
      if (oldest->payload.users != 0) {  // a long transfer
        oldest->payload.expires = now_seconds_wall() + limits_.inactive;
        (void)table.find(found);
        continue;
      }
    }
    drop(key);
  }
}

bool CacheZone::expire_one() {
  constexpr int kTries = 20;
  for (int i = 0; i < kTries; ++i) {
    CacheKey key;
    {
      Table::Session table(*table_);
      Table::Entry* oldest = table.oldest();
      if (oldest == nullptr) return false;
      const std::string_view found = table.key(oldest);
      std::copy(found.begin(), found.end(), key.begin());
      if (oldest->payload.users != 0) {
        (void)table.find(found);
        continue;
      }
    }
    if (drop(key)) return true;
  }
  return false;
}

bool CacheZone::over_limits() const {
  const auto size = static_cast<std::uint64_t>(std::max<std::int64_t>(head_->blocks, 0));
  if (size >= static_cast<std::uint64_t>(limits_.max_size) / block_size_ && head_->count > 0) return true;
  if (head_->count >= head_->watermark) return true;
  if (limits_.min_free == 0) return false;
  struct statvfs fs{};
  if (statvfs(std::string(path_.path).c_str(), &fs) != 0) return false;
  return static_cast<std::int64_t>(fs.f_bavail * fs.f_frsize) <= limits_.min_free;
}

}  // namespace mp::upstream
