#include "upstream/cache/file.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mp::upstream {
namespace {
constexpr std::string_view kKeyMark = "\nKEY: ";
}

std::size_t cache_head_start(std::string_view key) {
  return sizeof(CacheFileHeader) + kKeyMark.size() + key.size() + 1;
}

std::string cache_file_front(const CacheFileHeader& header, std::string_view key) {
  std::string front(reinterpret_cast<const char*>(&header), sizeof header);
  return front.append(kKeyMark).append(key).append("\n");
}

std::uint64_t cache_blocks(std::uint64_t size, std::uint64_t disk_size, std::uint64_t block_size) {
  const std::uint64_t bytes = disk_size > size && disk_size < size + 8 * block_size ? disk_size : size;
  return (bytes + block_size - 1) / block_size;
}

void CachedFile::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

std::uint64_t CachedFile::blocks(std::uint64_t block_size) const {
  return cache_blocks(size_, disk_size_, block_size);
}

CachedFile::Found CachedFile::open(const std::string& path, std::string_view key, std::uint32_t key_crc,
                                   std::size_t most_head) {
  close();
  fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd_ < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return Found::no;
    return refuse(system_error(errno, "open() \"" + path + "\" failed").text, true);
  }
  struct stat facts{};
  if (fstat(fd_, &facts) != 0)
    return refuse(system_error(errno, "fstat() \"" + path + "\" failed").text, true);
  size_ = static_cast<std::uint64_t>(facts.st_size);
  disk_size_ = static_cast<std::uint64_t>(facts.st_blocks) * 512;
  inode_ = facts.st_ino;
  front_.resize(sizeof(CacheFileHeader) + kKeyMark.size() + key.size() + 1 + most_head);
  const ssize_t n = pread(fd_, front_.data(), front_.size(), 0);
  const std::size_t start = cache_head_start(key);
  if (n < 0 || static_cast<std::size_t>(n) < start) {
    return refuse("cache file \"" + path + "\" is too small", true);
  }
  front_.resize(static_cast<std::size_t>(n));
  std::memcpy(&header_, front_.data(), sizeof header_);
  if (header_.version != CacheFileHeader::kVersion) {
    return refuse("cache file \"" + path + "\" version mismatch", false);
  }
  const std::string_view stored =
      std::string_view(front_).substr(sizeof header_ + kKeyMark.size(), key.size());
  if (header_.key_crc != key_crc || header_.head_start != start || stored != key) {
    return refuse("cache file \"" + path + "\" has md5 collision", true);
  }
  if (header_.body_start > front_.size() || header_.body_start < start) {
    return refuse("cache file \"" + path + "\" has too long header", true);
  }
  if (header_.etag_size > kMostEtag)
    return refuse("cache file \"" + path + "\" has incorrect etag length", true);
  if (header_.vary_size > kMostVary)
    return refuse("cache file \"" + path + "\" has incorrect vary length", true);
  head_ = std::string_view(front_).substr(start, header_.body_start - start);
  return Found::yes;
}

}  // namespace mp::upstream
