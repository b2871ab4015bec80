#include "phases/10_content/file_tree.hpp"

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include <sys/stat.h>
#include <unistd.h>

namespace mp::phases {

namespace fs = std::filesystem;

namespace {

int make_folders_to(const std::string& path, mode_t mode) {
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    if (mkdir(path.substr(0, slash).c_str(), mode) != 0 && errno != EEXIST) return errno;
  }
  return 0;
}

int rename_to(const std::string& from, const std::string& to) {
  return std::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

}  // namespace

int copy_file(const std::string& from, const std::string& to) {
  std::error_code error;
  fs::copy_file(from, to, fs::copy_options::overwrite_existing, error);
  if (!error) fs::last_write_time(to, fs::last_write_time(from, error), error);
  return error.value();
}

int place_file(const std::string& from, const std::string& to, bool make_folders, mode_t folder_mode) {
  int error = rename_to(from, to);
  if (error == ENOENT && make_folders) {
    error = make_folders_to(to, folder_mode);
    if (error == 0) error = rename_to(from, to);
  }
  if (error != EXDEV) return error;
  // Beside the target first, so that nobody sees half of it.
  const std::string beside = to + "." + std::to_string(getpid()) + ".tmp";
  error = copy_file(from, beside);
  if (error == 0) error = rename_to(beside, to);
  unlink(error == 0 ? from.c_str() : beside.c_str());
  return error;
}

int copy_folder(const std::string& from, const std::string& to) {
  std::error_code error;
  fs::copy(from, to, fs::copy_options::recursive | fs::copy_options::copy_symlinks, error);
  return error.value();
}

int delete_folder(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  return error.value();
}

}  // namespace mp::phases
