// TempFile: an unnamed (or, on request, named) file in one of the *_temp_path folders. Closed, and removed
// unless kept, when it goes out of scope.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "base/result.hpp"
#include "conf/values.hpp"

namespace mp::http {

class TempFile {
 public:
  TempFile() = default;
  TempFile(TempFile&& other) noexcept;
  TempFile& operator=(TempFile&& other) noexcept;
  ~TempFile() {
    if (fd_ >= 0) close();
  }

  // Creates it with mode 0600 (0660 with group access). The name is kept in path() until it is removed.
  Status create(const conf::LevelledPath& where, bool group_access = false);
  // Takes an existing regular file instead, for reading.
  Status open(std::string_view path, bool remove);
  Status append(std::string_view bytes);  // the disk may be full: the error says so
  // Forgets what was appended behind `size`: it will be written over.
  void take_back(std::uint64_t size) { size_ = size; }
  int fd() const { return fd_; }
  std::uint64_t size() const { return size_; }
  const std::string& path() const { return path_; }
  void keep() { remove_ = false; }  // do not unlink at close (store, dav, body_in_file_only on)
  void close();

 private:
  int fd_ = -1;
  std::uint64_t size_ = 0;
  std::string path_;
  bool remove_ = true;
};

}  // namespace mp::http
