// A response in a cache's file: nginx's header, the key as text, the head of the response as the server sent
// it, the body.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "upstream/cache/zone.hpp"

namespace mp::upstream {

inline constexpr std::size_t kMostEtag = 128;
inline constexpr std::size_t kMostVary = 128;

// As it lies in the file.
struct CacheFileHeader {
  static constexpr std::uint64_t kVersion = 5;
  std::uint64_t version = kVersion;
  std::int64_t valid_until = 0;     // Unix seconds
  std::int64_t stale_updating = 0;  // seconds it may be used while a newer one is fetched
  std::int64_t stale_error = 0;     // seconds it may be used when that fails
  std::int64_t last_modified = -1;
  std::int64_t date = 0;
  std::uint32_t key_crc = 0;
  std::uint16_t valid_msec = 0;
  std::uint16_t head_start = 0;
  std::uint16_t body_start = 0;
  std::uint8_t etag_size = 0;
  char etag[kMostEtag] = {};
  std::uint8_t vary_size = 0;
  char vary[kMostVary] = {};
  unsigned char variant[16] = {};

  std::string_view etag_text() const { return {etag, etag_size}; }
  std::string_view vary_text() const { return {vary, vary_size}; }
};

// Where the head begins behind header and key.
std::size_t cache_head_start(std::string_view key);
// What stands in front of the head.
std::string cache_file_front(const CacheFileHeader& header, std::string_view key);

// An open file of a cache. Closed when it goes out of scope.
class CachedFile {
 public:
  CachedFile() = default;
  CachedFile(const CachedFile&) = delete;
  CachedFile& operator=(const CachedFile&) = delete;
  ~CachedFile() { close(); }

  enum class Found : std::uint8_t { yes, no, unusable };
  // Opens `path` and reads header and head. `unusable`: error() says why, and how bad that is.
  Found open(const std::string& path, std::string_view key, std::uint32_t key_crc, std::size_t most_head);
  void close();

  const CacheFileHeader& header() const { return header_; }
  std::string_view head() const { return head_; }  // of the response
  int fd() const { return fd_; }
  std::uint64_t size() const { return size_; }
  std::uint64_t body_size() const { return size_ - header().body_start; }
  std::uint64_t inode() const { return inode_; }
  std::uint64_t blocks(std::uint64_t block_size) const;
  const std::string& error() const { return error_; }
  bool bad() const { return bad_; }  // a broken file, not just an old one

 private:
  Found refuse(std::string why, bool bad) {
    error_ = std::move(why);
    bad_ = bad;
    close();
    return Found::unusable;
  }

  int fd_ = -1;
  std::uint64_t size_ = 0;
  std::uint64_t disk_size_ = 0;
  std::uint64_t inode_ = 0;
  CacheFileHeader header_;
  std::string front_;
  std::string_view head_;
  std::string error_;
  bool bad_ = false;
};

// Bytes that a file takes on disk, in blocks.
std::uint64_t cache_blocks(std::uint64_t size, std::uint64_t disk_size, std::uint64_t block_size);

}  // namespace mp::upstream
