#include "http/open_file.hpp"

#include <array>
#include <cerrno>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/ascii.hpp"
#include "base/numbers.hpp"
#include "base/strings.hpp"
#include "fiber/scheduler.hpp"
#include "http/file_io.hpp"
#include "http/request.hpp"

namespace mp::http {
namespace {

// How links on the way to a file are taken.
struct Links {
  Symlinks mode = Symlinks::follow;
  std::size_t trusted = 0;  // so many bytes of the path name a folder whose links do not count
};

Links links_for(Request& r, const OpenFileConf& conf, std::string_view path) {
  Links links{conf.symlinks};
  if (links.mode == Symlinks::follow || conf.trusted_folder.empty()) return links;
  const std::string_view folder = conf.trusted_folder.evaluate(r);
  if (folder.empty() || !path.starts_with(folder)) return links;
  if (path.size() == folder.size()) return {};
  if (path[folder.size()] == '/') {
    links.trusted = folder.size();
  } else if (folder.back() == '/') {
    links.trusted = folder.size() - 1;
  }
  return links;
}

// Walks to the file folder by folder, following no link; or only links whose owner owns what they point to.
int open_without_links(const std::string& path, Links links, int flags) {
  const Symlinks mode = links.mode;
  const int follow = mode == Symlinks::refuse ? O_NOFOLLOW : 0;
  const std::string start = links.trusted > 0 ? path.substr(0, links.trusted) : "/";
  int at = ::open(start.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  std::size_t begin = links.trusted;
  while (at >= 0) {
    begin = path.find_first_not_of('/', begin);
    if (begin == std::string::npos) return at;
    const std::size_t end = path.find('/', begin);
    const std::string name = path.substr(begin, end == std::string::npos ? end : end - begin);
    const bool last = end == std::string::npos;
    const int want = last ? flags : O_PATH | O_DIRECTORY;
    const int next = ::openat(at, name.c_str(), want | follow | O_CLOEXEC);
    if (next >= 0 && mode == Symlinks::refuse_other_owner) {
      struct stat link{};
      struct stat target{};
      if (fstatat(at, name.c_str(), &link, AT_SYMLINK_NOFOLLOW) != 0 || fstat(next, &target) != 0 ||
          (S_ISLNK(link.st_mode) && link.st_uid != target.st_uid)) {
        ::close(next);
        ::close(at);
        errno = ELOOP;
        return -1;
      }
    }
    const int error = errno;
    ::close(at);
    errno = error;
    if (last || next < 0) return next;
    at = next;
    begin = end + 1;
  }
  return -1;
}

void take_facts(OpenedFile& file, const struct stat& st) {
  file.size = st.st_size;
  file.mtime = st.st_mtime;
  file.inode = st.st_ino;
  file.device = st.st_dev;
  file.is_dir = S_ISDIR(st.st_mode);
  file.is_file = S_ISREG(st.st_mode);
  file.is_exec = (st.st_mode & S_IXUSR) != 0;
}

std::shared_ptr<OpenedFile> open_now(Request& r, const std::string& path, Links links, bool facts_only) {
  auto file = std::make_shared<OpenedFile>();
  struct stat st{};
  const bool follow = links.mode == Symlinks::follow;
  if (facts_only && follow) {
    if (::stat(path.c_str(), &st) != 0) {
      file->error = errno;
      file->failed_call = "stat()";
      return file;
    }
    take_facts(*file, st);
    return file;
  }
  constexpr int kFlags = O_RDONLY | O_NONBLOCK | O_CLOEXEC;
  file->fd = follow ? ::open(path.c_str(), kFlags) : open_without_links(path, links, kFlags);
  if (file->fd < 0) {
    file->error = errno;
    file->failed_call = follow ? "open()" : "openat()";
    return file;
  }
  if (::fstat(file->fd, &st) != 0) {
    file->error = errno;
    file->failed_call = "fstat()";
    return file;
  }
  take_facts(*file, st);
  if (file->is_file) prepare_file(r, file->fd, file->size, path);
  return file;
}

}  // namespace

// What open_file_cache keeps: open files, facts about others, and errors, the ones used last in front.
class OpenFileCache {
 public:
  OpenFileCache(std::size_t most, std::uint64_t inactive) : most_(most), inactive_(inactive) {}

  FileRef get(Request& r, const OpenFileConf& conf, const std::string& path, bool facts_only) {
    const std::uint64_t now = fiber::now();
    drop_inactive(now);
    auto it = entries_.find(path);
    if (it != entries_.end()) {
      Entry& e = it->second;
      lru_.splice(lru_.begin(), lru_, e.place);
      ++e.uses;
      e.used_at = now;
      const bool usable = facts_only || e.file->fd >= 0 || !e.file->ok();
      if (usable && now - e.checked_at < static_cast<std::uint64_t>(conf.cache_valid.get())) return e.file;
      if (usable && unchanged(*e.file, path)) {
        e.checked_at = now;
        return e.file;
      }
    }
    auto file = open_now(r, path, links_for(r, conf, path), facts_only);
    if (!file->ok() && !(conf.cache_errors && lasting(file->error))) {
      if (it != entries_.end()) erase(it);
      return file;
    }
    if (it == entries_.end()) {
      if (entries_.size() >= most_) erase(entries_.find(lru_.back()));
      lru_.push_front(path);
      it = entries_.emplace(path, Entry{nullptr, lru_.begin(), 0, now, now}).first;
      it->second.uses = 1;
    }
    it->second.checked_at = now;
    // Until a file was asked for often enough, only its name is remembered.
    it->second.file = it->second.uses >= conf.cache_min_uses.get() ? file : facts_of(*file);
    return file;
  }

 private:
  struct Entry {
    FileRef file;
    std::list<std::string>::iterator place;
    std::int64_t uses = 0;
    std::uint64_t used_at = 0;
    std::uint64_t checked_at = 0;
  };
  using Map = std::unordered_map<std::string, Entry>;

  static FileRef facts_of(const OpenedFile& file) {
    auto facts = std::make_shared<OpenedFile>();
    facts->error = file.error;
    facts->failed_call = file.failed_call;
    facts->size = file.size;
    facts->mtime = file.mtime;
    facts->inode = file.inode;
    facts->device = file.device;
    facts->is_dir = file.is_dir;
    facts->is_file = file.is_file;
    facts->is_exec = file.is_exec;
    return facts;
  }

  // What is said about the file, not about the state the server is in.
  static bool lasting(int error) { return error != EMFILE && error != ENFILE && error != ENOMEM; }

  static bool unchanged(const OpenedFile& file, const std::string& path) {
    struct stat st{};
    if (::stat(path.c_str(), &st) != 0) return file.error == errno;
    return file.ok() && st.st_ino == file.inode && st.st_dev == file.device && st.st_mtime == file.mtime &&
           st.st_size == file.size;
  }

  void erase(Map::iterator it) {
    lru_.erase(it->second.place);
    entries_.erase(it);
  }

  void drop_inactive(std::uint64_t now) {
    for (int i = 0; i < 2 && !lru_.empty(); ++i) {
      auto oldest = entries_.find(lru_.back());
      if (now - oldest->second.used_at < inactive_) return;
      erase(oldest);
    }
  }

  const std::size_t most_;
  const std::uint64_t inactive_;  // milliseconds
  Map entries_;
  std::list<std::string> lru_;
};

namespace {

// The files opened in this pass of the event loop. A request that ran a script does not look here: the script
// may have just written the file.
class PassFiles {
 public:
  const FileRef* find(std::string_view path, bool facts_only) const {
    const Slot& slot = slots_[slot_of(path)];
    if (slot.file == nullptr || slot.path != path) return nullptr;
    return facts_only || slot.file->fd >= 0 ? &slot.file : nullptr;
  }

  void keep(std::string_view path, const FileRef& file) {
    Slot& slot = slots_[slot_of(path)];
    if (slot.file == nullptr) used_[used_count_++] = static_cast<std::uint8_t>(&slot - slots_.data());
    slot.path = path;
    slot.file = file;
    fiber::here()->on_pass_end = [] { of_worker().drop_all(); };
  }

  static PassFiles& of_worker() {
    static PassFiles one;
    return one;
  }

 private:
  static constexpr std::size_t kSlots = 64;
  struct Slot {
    std::string path;  // keeps its memory
    FileRef file;
  };
  static std::size_t slot_of(std::string_view path) { return hash_text(path) % kSlots; }

  void drop_all() {
    while (used_count_ > 0) slots_[used_[--used_count_]].file.reset();
    fiber::here()->on_pass_end = nullptr;
  }

  std::array<Slot, kSlots> slots_;
  std::array<std::uint8_t, kSlots> used_;
  std::size_t used_count_ = 0;
};

}  // namespace

OpenedFile::~OpenedFile() {
  if (fd >= 0) ::close(fd);
}

std::string_view OpenedFile::content() const {
  if (content_ == nullptr) {
    if (fd < 0 || !is_file || size <= 0 || size > kSmall) return {};
    auto bytes = std::make_unique_for_overwrite<char[]>(static_cast<std::size_t>(size));
    const iovec whole{bytes.get(), static_cast<std::size_t>(size)};
    ssize_t n = ::preadv2(fd, &whole, 1, 0, RWF_NOWAIT);  // what is not in memory is read elsewhere
    if (n < 0 && errno == EOPNOTSUPP) n = ::pread(fd, bytes.get(), static_cast<std::size_t>(size), 0);
    if (n != size) return {};
    content_ = std::move(bytes);
  }
  return {content_.get(), static_cast<std::size_t>(size)};
}

std::string_view OpenedFile::etag() const {
  if (etag_size_ == 0) etag_size_ = static_cast<std::uint8_t>(write_etag(etag_, mtime, size) - etag_);
  return {etag_, etag_size_};
}

FileRef open_file(Request& r, std::string_view path, bool facts_only) {
  const auto& conf = r.conf<OpenFileConf>();
  if (conf.cache != nullptr) return conf.cache->get(r, conf, std::string(path), facts_only);
  const bool shared =
      conf.symlinks == Symlinks::follow && !r.main->scripted && r.conf<FileIoConf>().directio < 0;
  PassFiles& files = PassFiles::of_worker();
  if (shared) {
    if (const FileRef* found = files.find(path, facts_only)) return *found;
  }
  FileRef file = open_now(r, std::string(path), links_for(r, conf, path), facts_only);
  if (shared && file->ok()) files.keep(path, file);
  return file;
}

Status OpenFileConf::merge(conf::Context&, const OpenFileConf& parent) {
  if (!cache_set && parent.cache_set) {
    cache_set = true;
    cache = parent.cache;
  }
  cache_valid.inherit(parent.cache_valid, 60000);
  cache_min_uses.inherit(parent.cache_min_uses, 1);
  cache_errors.inherit(parent.cache_errors, false);
  if (!symlinks_set && parent.symlinks_set) {
    symlinks_set = true;
    symlinks = parent.symlinks;
    trusted_folder = parent.trusted_folder;
  }
  return {};
}

Status parse_open_file_cache(conf::Context& ctx, const conf::Node& node) {
  auto& c = ctx.conf<OpenFileConf>();
  if (c.cache_set) return fail("is duplicate");
  c.cache_set = true;
  std::size_t most = 0;
  std::uint64_t inactive = 60000;
  for (const conf::Arg& arg : node.args) {
    std::string_view value = arg.text;
    if (value == "off") return {};
    bool good = false;
    if (consume(value, "max=")) {
      const auto n = parse_natural<std::int64_t>(value);
      good = n && *n > 0;
      if (good) most = static_cast<std::size_t>(*n);
    } else if (consume(value, "inactive=")) {
      const auto n = parse_seconds(value);
      good = n.has_value();
      if (good) inactive = static_cast<std::uint64_t>(*n) * 1000;
    }
    if (!good)
      return ctx.error(arg, "invalid \"open_file_cache\" parameter \"" + std::string(arg.text) + "\"");
  }
  if (most == 0) return ctx.error("\"open_file_cache\" must have the \"max\" parameter");
  c.cache = std::make_shared<OpenFileCache>(most, inactive);
  return {};
}

namespace {

std::optional<Symlinks> symlinks_mode(std::string_view text) {
  if (text == "off") return Symlinks::follow;
  if (text == "on") return Symlinks::refuse;
  if (text == "if_not_owner") return Symlinks::refuse_other_owner;
  return std::nullopt;
}

}  // namespace

Status parse_disable_symlinks(conf::Context& ctx, const conf::Node& node) {
  auto& c = ctx.conf<OpenFileConf>();
  if (c.symlinks_set) return fail("is duplicate");
  c.symlinks_set = true;
  std::size_t modes = 0;
  for (const conf::Arg& arg : node.args) {
    if (const auto mode = symlinks_mode(arg.text)) {
      c.symlinks = *mode;
      ++modes;
    } else if (std::string_view folder = arg.text; consume(folder, "from=")) {
      auto compiled = Template::compile(ctx, folder);
      if (!compiled) return ctx.error(arg, compiled.error().text);
      c.trusted_folder = std::move(*compiled);
    } else {
      return ctx.error(arg, "invalid parameter \"" + std::string(arg.text) + "\"");
    }
  }
  if (modes == 0) {
    return ctx.error("\"disable_symlinks\" must have \"off\", \"on\" or \"if_not_owner\" parameter");
  }
  if (modes == 2) {
    return ctx.error("duplicate parameters \"" + std::string(node.args[0].text) + " " +
                     std::string(node.args[1].text) + "\"");
  }
  if (node.args.size() == 2 && c.symlinks == Symlinks::follow) {
    return ctx.error("\"from=\" cannot be used with \"off\" parameter");
  }
  return {};
}

}  // namespace mp::http
