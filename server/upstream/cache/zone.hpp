// CacheZone: what all workers know of one cache: an entry for each response in it, in shared memory, in the
// order of their use. The responses themselves are files below `path`, named by the MD5 sum of their key as
// in nginx. A handle of one process, made with the configuration before the workers are forked.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/shm/key_table.hpp"
#include "base/shm/zone.hpp"
#include "conf/values.hpp"

namespace mp::upstream {

using CacheKey = std::array<unsigned char, 16>;

struct CacheLimits {
  std::int64_t inactive = 600;        // seconds without use
  std::int64_t max_size = INT64_MAX;  // bytes
  std::int64_t min_free = 0;          // bytes of the file system
  bool use_temp_path = true;
  // The loader and the manager work in batches: so many files, or so many milliseconds, then a rest.
  std::int64_t loader_files = 100, loader_sleep = 50, loader_threshold = 200;
  std::int64_t manager_files = 100, manager_sleep = 50, manager_threshold = 200;
};

class CacheZone {
 public:
  static constexpr char kTag = 0;

  struct Entry {
    std::int64_t expires;      // when it is forgotten, unless it is used before; Unix seconds
    std::int64_t error_until;  // how long `error` is the answer
    std::int64_t lock_until;   // monotonic milliseconds: whoever updates it has so long
    std::uint64_t inode;       // of its file
    std::uint64_t blocks;      // that the file takes
    std::uint32_t users;       // requests that hold it
    std::uint32_t uses;
    std::uint16_t error;
    std::uint16_t body_start;
    bool exists;    // there is a file
    bool updating;  // some request is fetching a newer response
  };
  using Table = KeyTable<Entry>;
  using Ticket = Table::Ticket;

  CacheZone(std::string_view name, const conf::LevelledPath& path, const CacheLimits& limits)
      : name_(name), path_(path), limits_(limits) {}
  static std::size_t index_bytes(std::size_t zone_size);
  Status attach(Zone& zone, const Zone* previous);

  std::string_view name() const { return name_; }
  const conf::LevelledPath& path() const { return path_; }
  const CacheLimits& limits() const { return limits_; }
  std::string file_of(const CacheKey& key) const;

  // ---- for requests

  struct Look {
    enum class What : std::uint8_t {
      ready,   // worth looking for its file, if it exists
      error,   // a failure is remembered
      scarce,  // not asked for often enough to be kept
      fresh,   // nothing is known of it
      full,    // no memory
    } what = What::full;
    bool exists = false;
    int error = 0;
    std::uint16_t body_start = 0;
    std::uint64_t inode = 0;
    Ticket ticket;
  };
  // Notes a use of the key; the request holds the entry from then on. `held`: it does already.
  Look look(const CacheKey& key, std::int64_t min_uses, Ticket held);
  // A file was found that the index did not know of (it has not been read completely yet).
  void found_file(Ticket ticket, std::uint16_t body_start, std::uint64_t inode, std::uint64_t blocks);
  // The file is too old: true when this request is the one to fetch a newer response.
  bool claim_stale(Ticket ticket, std::int64_t& lock_until);
  // `cache_lock`: true when this request is the one to fetch the response; otherwise how long that may take.
  bool claim_lock(Ticket ticket, std::int64_t age, std::int64_t& lock_until, std::int64_t& wait);
  // Whether another request still fetches it, and for how long it may.
  bool locked(Ticket ticket, std::int64_t& wait);
  void unclaim(Ticket ticket);
  // The request has made a new file, or has not; it lets go of the entry.
  struct Outcome {
    bool stored = false;
    std::uint16_t body_start = 0;
    std::uint64_t inode = 0;
    std::uint64_t blocks = 0;
    int error = 0;  // to be remembered
    std::int64_t error_until = 0;
    bool updating = false;  // it was the one who updated, since `lock_until` was set
    std::int64_t lock_until = 0;
    bool forget = false;  // an entry without a file need not stay
  };
  void leave(Ticket ticket, const Outcome& outcome);
  bool cold() const { return head_->cold; }

  // ---- for the loader and the manager

  // The loader has read all files there were.
  void loaded() { head_->cold = 0; }
  // A file of an earlier run.
  void add_file(const CacheKey& key, std::uint64_t inode, std::uint64_t blocks);
  // Removes what was not used for long. How many seconds until there is more.
  std::int64_t expire();
  // Removes the entry used longest ago. False: none can go now.
  bool expire_one();
  bool over_limits() const;
  std::uint64_t block_size() const { return block_size_; }

 private:
  // Beside the table.
  struct Head {
    std::int64_t blocks;
    std::uint64_t count;
    std::uint64_t watermark;
    std::uint32_t cold;
  };
  void remove_entry(Table::Session& table, Table::Entry* entry);
  bool drop(const CacheKey& key);

  std::string_view name_;
  conf::LevelledPath path_;
  CacheLimits limits_;
  std::uint64_t block_size_ = 4096;
  std::optional<Table> table_;
  Head* head_ = nullptr;
};

}  // namespace mp::upstream
