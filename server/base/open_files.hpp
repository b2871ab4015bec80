// OpenFiles: the log files of one configuration, shared by path, opened together after the configuration was
// read and reopened together when log files were rotated. Owned by the configuration; its OpenFile objects
// keep their address as long as it lives.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "base/result.hpp"

namespace mp {

namespace log {
struct Logger;
}

class OpenFile {
 public:
  OpenFile(std::string path, bool is_stderr) : path_(std::move(path)), stderr_(is_stderr) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile();

  const std::string& path() const { return path_; }
  int fd() const { return fd_; }  // -1 until opened
  bool is_stderr() const { return stderr_; }

  // Appends `bytes` in one write(2). Does not wait for the reader of a pipe for more than a moment: the bytes
  // are dropped instead. False when they were not all written; errno tells why.
  bool append(std::string_view bytes) const;

  // Called before the file is reopened or closed, so that an owner of buffered lines can write them.
  std::function<void()> on_flush;

 private:
  friend class OpenFiles;
  Status open();
  void adopt(int fd);

  std::string path_;
  int fd_ = -1;
  bool stderr_;
  bool regular_ = false;  // a write to a regular file is not waited for
};

class OpenFiles {
 public:
  // The file at this absolute path; an empty path is stderr. It is opened by open_all().
  OpenFile* get(std::string_view path);

  // Opens what is not open yet. The error says which file: `open() "PATH" failed (2: ...)`.
  Status open_all();

  // Makes stderr usable, which cannot fail.
  void open_stderr();

  // Opens every file anew and closes the old descriptor. With a user given (the master does, as root), the
  // new file is made that user's, so that workers can open it as well. Failures are logged; the old file
  // stays in use.
  void reopen(const log::Logger& logger, uid_t user);

  void flush();

 private:
  std::vector<std::unique_ptr<OpenFile>> files_;
};

}  // namespace mp
