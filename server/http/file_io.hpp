// Reading and writing files on behalf of a request without holding up the worker: what aio, directio and
// their like say, and the thread pools they name.
//
// Bytes that are in memory are taken at once (RWF_NOWAIT), whatever the settings: a thread is asked only when
// a read would have to wait for the disk. `aio threads` also moves sendfile() to a thread, and with
// `aio_write` the writing of temporary files.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "conf/context.hpp"
#include "conf/process_conf.hpp"
#include "conf/setting.hpp"
#include "conf/values.hpp"
#include "fiber/thread_pool.hpp"
#include "http/output.hpp"
#include "http/template.hpp"
#include "net/socket.hpp"

namespace mp::http {

class Request;
class TempFile;

// The pools that files are read with, by the names of thread_pool; "default" is always there. Made in the
// worker, by the first task.
class FilePools {
 public:
  static constexpr conf::Level kLevel = conf::Level::process;

  // Notes that `node` uses a pool, which must be defined by the end of the configuration.
  void use(std::string_view name, const conf::Node& node);
  Status finish(conf::Context& ctx);

  fiber::ThreadPool* find(const conf::ProcessConf& process, std::string_view name);  // null: no such pool
  void clear() { pools_.clear(); }  // at the end of the worker, while there is a scheduler

 private:
  struct Use {
    std::string_view name;
    const conf::Node* node;
  };
  std::map<std::string, fiber::ThreadPool, std::less<>> pools_;
  std::vector<Use> uses_;
};

enum class Aio : std::uint8_t { off, on, threads };

struct FileIoConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  conf::Setting<Aio> aio;
  Template pool;  // of `aio threads=`; empty: "default"
  conf::Setting<bool> aio_write;
  conf::Setting<conf::Offset> directio;  // files of at least this size bypass the page cache; -1: none
  conf::Setting<conf::Size> directio_alignment;
  conf::Setting<conf::Bufs>
      output_buffers;                    // 2 32k: what a file is read into when it is not sent by sendfile
  conf::Setting<conf::Size> read_ahead;  // 0: as the kernel likes
  conf::Setting<conf::Size> sendfile_max_chunk;  // 2m; 0: no limit
  Status merge(conf::Context& ctx, const FileIoConf& parent);
};

// Reads until `into` is full or the file ends: the number of bytes, or -1 with errno set. Parks when the
// bytes have to come from the disk.
ssize_t read_file(Request& request, int fd, std::span<char> into, off_t offset);

// The part of it that can be had without waiting, for whoever cannot park: -1 with EAGAIN when there is none.
// Not for locations where reads_specially() holds.
ssize_t read_file_now(Request& request, int fd, std::span<char> into, off_t offset);

// Calls `take` with the bytes of `output`, those of files read into memory one part (output_buffers) at a
// time: for filters that look at bodies. False when `take` says so, or when a file cannot be read.
bool in_memory(Request& request, const Output& output, const std::function<bool(const Output&)>& take);

// Whether aio or directio are in force, so that only read_file() and what builds on it may touch the file.
bool reads_specially(const Request& request);

// How a range of an open file is best sent on a socket of this request.
enum class SendFile : std::uint8_t {
  directly,   // sendfile() on the worker
  on_thread,  // sendfile_on_thread()
  by_reading  // read_file() into memory: TLS, `sendfile off`, files open for direct input
};
SendFile how_to_send(Request& request, int fd);

// Socket::sendfile() with the call itself made on a thread of the location's pool. Not for sockets with a
// layer.
net::Io sendfile_on_thread(Request& request, net::Socket& socket, int fd, off_t offset, std::size_t size,
                           fiber::Msec timeout);

// TempFile::append(), on a thread where aio_write says so.
Status append_to(Request& request, TempFile& file, std::string_view bytes);
bool appends_by_thread(const Request& request);  // others run meanwhile

// Prepares a file just opened for reading: read_ahead, directio.
void prepare_file(Request& request, int fd, off_t size, std::string_view path);

extern const conf::Module kFileIoModule;

}  // namespace mp::http
