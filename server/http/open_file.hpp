// Opening files to serve, through open_file_cache when the location has one. Without it a file that several
// requests ask for in one pass of the event loop is opened once: they came before it was opened, so none can
// tell. A FileRef keeps its descriptor open as long as it lives, also when the cache has dropped the file.
// The cache belongs to the configuration; each worker fills its own copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <string_view>

#include <sys/stat.h>
#include <sys/types.h>

#include "conf/context.hpp"
#include "conf/setting.hpp"
#include "conf/values.hpp"
#include "http/etag.hpp"
#include "http/template.hpp"

namespace mp::http {

class Request;

// What was found at a path. `fd` is -1 for folders and for lookups that asked for facts only.
struct OpenedFile {
  int fd = -1;
  int error = 0;                 // errno when the path cannot be used
  const char* failed_call = "";  // "open()", "stat()": for the log
  off_t size = 0;
  std::time_t mtime = -1;
  ino_t inode = 0;
  dev_t device = 0;
  bool is_dir = false;
  bool is_file = false;
  bool is_exec = false;

  // The whole file, when it is small; empty when it is not, or could not be read as long as it was found.
  // Read once.
  std::string_view content() const;
  static constexpr off_t kSmall = 8192;
  // Of the whole file. Made once.
  std::string_view etag() const;

  bool ok() const { return error == 0; }
  OpenedFile() = default;
  OpenedFile(const OpenedFile&) = delete;
  OpenedFile& operator=(const OpenedFile&) = delete;
  ~OpenedFile();

 private:
  mutable std::unique_ptr<char[]> content_;
  mutable std::uint8_t etag_size_ = 0;
  mutable char etag_[kMaxEtag];
};
using FileRef = std::shared_ptr<const OpenedFile>;

enum class Symlinks : std::uint8_t { follow, refuse, refuse_other_owner };

class OpenFileCache;

struct OpenFileConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  bool cache_set = false;
  std::shared_ptr<OpenFileCache> cache;  // null: off; blocks that inherit it share it
  conf::Setting<conf::Msec> cache_valid;
  conf::Setting<std::int64_t> cache_min_uses;
  conf::Setting<bool> cache_errors;
  bool symlinks_set = false;
  Symlinks symlinks = Symlinks::follow;
  Template trusted_folder;  // disable_symlinks from=: links on the way to this folder do not count
  Status merge(conf::Context& ctx, const OpenFileConf& parent);
};

// Opens `path` (zero-terminated behind its end) for reading, without waiting for pipes and devices.
// `facts_only`: no descriptor is needed.
FileRef open_file(Request& request, std::string_view path, bool facts_only = false);

Status parse_open_file_cache(conf::Context& ctx, const conf::Node& node);
Status parse_disable_symlinks(conf::Context& ctx, const conf::Node& node);

}  // namespace mp::http
