#include <cerrno>
#include <memory>
#include <string>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/strings.hpp"
#include "http/file_path.hpp"
#include "http/request.hpp"
#include "phases/10_content/folder_modules.hpp"

namespace mp::phases {

using http::Request;

namespace {

struct CloseFolder {
  void operator()(DIR* folder) const { closedir(folder); }
};

int refuse(Request& r, const char* path) {
  const int error = errno;
  const bool missing = error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG;
  const int status = missing ? 404 : error == EACCES ? 403 : 500;
  log::write(status == 500 ? log::Level::crit : log::Level::error, r.logger, log::Errno{error},
             "opendir() \"{}\" failed", path);
  return status;
}

}  // namespace

std::string_view folder_path(Request& r) {
  std::string_view path = http::map_to_path(r, r.uri);
  if (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return path;
}

int read_folder(Request& r, std::string_view path,
                const std::function<void(std::string_view, const struct stat&)>& each) {
  const char* name = c_string(r.arena, path);
  const std::unique_ptr<DIR, CloseFolder> folder(opendir(name));
  if (folder == nullptr) return refuse(r, name);
  for (;;) {
    errno = 0;
    const dirent* entry = readdir(folder.get());
    if (entry == nullptr) {
      if (errno == 0) return 0;
      log::crit(r.logger, log::Errno{errno}, "readdir() \"{}\" failed", path);
      return 500;
    }
    if (entry->d_name[0] == '.') continue;
    struct stat facts{};
    // A link that leads nowhere is shown as itself.
    if (fstatat(dirfd(folder.get()), entry->d_name, &facts, 0) != 0) {
      const int error = errno;
      const bool dangling = error == ENOENT || error == ELOOP;
      if (!dangling) log::crit(r.logger, log::Errno{error}, "stat() \"{}/{}\" failed", path, entry->d_name);
      if (error == EACCES) continue;
      if (!dangling) return 500;
      if (fstatat(dirfd(folder.get()), entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) continue;
        log::crit(r.logger, log::Errno{errno}, "lstat() \"{}/{}\" failed", path, entry->d_name);
        return 500;
      }
    }
    each(entry->d_name, facts);
  }
}

}  // namespace mp::phases
