#include "upstream/cache/keeper.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.hpp"
#include "base/numbers.hpp"
#include "fiber/blocking.hpp"
#include "fiber/scheduler.hpp"
#include "upstream/cache/conf.hpp"
#include "upstream/cache/file.hpp"
#include "upstream/cache/zone.hpp"

namespace mp::upstream {
namespace {

constexpr fiber::Msec kLoadAfter = 60000;  // the first minute of a server has enough to do

std::int64_t now_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1000000;
}

// Names of 32 hexadecimal digits are responses.
bool read_name(std::string_view name, CacheKey& key) {
  if (name.size() != 2 * key.size()) return false;
  for (std::size_t i = 0; i < key.size(); ++i) {
    const auto byte = parse_hex(name.substr(2 * i, 2));
    if (!byte) return false;
    key[i] = static_cast<unsigned char>(*byte);
  }
  return true;
}

}  // namespace

// Works on one cache until it is told to stop. run_batch() is for a thread that may wait for the disk.
class CacheKeeper : public std::enable_shared_from_this<CacheKeeper> {
 public:
  explicit CacheKeeper(CacheZone& zone) : zone_(zone) {}

  void start() {
    fiber::spawn([self = shared_from_this()] {
      fiber::local() = {};
      try {
        self->manage();
      } catch (const fiber::Cancelled&) {
        // The worker ends.
      }
    });
    if (!zone_.cold()) return;
    fiber::spawn([self = shared_from_this()] {
      fiber::local() = {};
      try {
        self->load();
      } catch (const fiber::Cancelled&) {
        // As above.
      }
    });
  }
  void stop() {
    stopped_ = true;
    changed_.notify_all();
  }

 private:
  // Waits, or until it is told to stop.
  bool rest(fiber::Msec time) {
    if (!stopped_) changed_.wait(fiber::now() + time);
    return !stopped_;
  }

  void manage() {
    for (;;) {
      std::int64_t next = 0;
      fiber::run_blocking([&] { next = remove_some(); });
      if (!rest(static_cast<fiber::Msec>(next))) return;
    }
  }

  // Returns the milliseconds until there may be more to do.
  std::int64_t remove_some() {
    const CacheLimits& limits = zone_.limits();
    const std::int64_t next = zone_.expire() * 1000;
    const std::int64_t started = now_ms();
    for (std::int64_t files = 0; zone_.over_limits() && !stopped_; ++files) {
      if (files >= limits.manager_files || now_ms() - started >= limits.manager_threshold) {
        return limits.manager_sleep;
      }
      if (!zone_.expire_one()) break;
    }
    return next;
  }

  void load() {
    if (!rest(kLoadAfter)) return;
    folders_.emplace_back(zone_.path().path);
    while (!folders_.empty() && !stopped_) {
      fiber::run_blocking([this] { load_some(); });
      if (!rest(static_cast<fiber::Msec>(zone_.limits().loader_sleep))) return;
    }
    if (!stopped_) zone_.loaded();
  }

  void load_some() {
    const CacheLimits& limits = zone_.limits();
    const std::int64_t started = now_ms();
    std::int64_t files = 0;
    while (!folders_.empty() && files < limits.loader_files && now_ms() - started < limits.loader_threshold) {
      const std::string folder = std::move(folders_.back());
      folders_.pop_back();
      const std::unique_ptr<DIR, int (*)(DIR*)> open(opendir(folder.c_str()), closedir);
      if (open == nullptr) continue;
      while (const dirent* entry = readdir(open.get())) {
        if (entry->d_name[0] == '.') continue;
        ++files;
        load_file(folder + "/" + entry->d_name, entry->d_name);
      }
    }
  }

  void load_file(const std::string& path, std::string_view name) {
    struct stat facts{};
    if (stat(path.c_str(), &facts) != 0) return;
    if (S_ISDIR(facts.st_mode)) {
      folders_.push_back(path);
      return;
    }
    CacheKey key{};
    const auto size = static_cast<std::uint64_t>(facts.st_size);
    if (!read_name(name, key) || size < sizeof(CacheFileHeader)) {
      // A temporary file that a crash has left, or a broken one; the youngest may still be in use.
      constexpr std::int64_t kInUse = 60;
      if (clock().seconds() - facts.st_mtime > kInUse) (void)::unlink(path.c_str());
      return;
    }
    const std::uint64_t disk_size = static_cast<std::uint64_t>(facts.st_blocks) * 512;
    zone_.add_file(key, facts.st_ino, cache_blocks(size, disk_size, zone_.block_size()));
  }

  CacheZone& zone_;
  std::vector<std::string> folders_;  // to be read
  std::atomic<bool> stopped_ = false;
  fiber::Event changed_;
};

void start_cache_keeper(const conf::Configuration& configuration) {
  if (configuration.root()[conf::Level::main] == nullptr) return;  // no http {}
  auto& zones = configuration.root().get<CacheZones>();
  for (Zone* zone : zones.all) {
    zones.keepers.push_back(std::make_shared<CacheKeeper>(*zone->owner<CacheZone>()));
    zones.keepers.back()->start();
  }
}

void stop_cache_keeper(const conf::Configuration& configuration) {
  if (configuration.root()[conf::Level::main] == nullptr) return;
  auto& zones = configuration.root().get<CacheZones>();
  for (const auto& keeper : zones.keepers) keeper->stop();
  zones.keepers.clear();
}

}  // namespace mp::upstream
