// PipeProcess: a program that a script has started (ngx.pipe), with its standard streams as pipes. Owned by
// the script's object; when that is collected, or the worker ends, the program is killed. The kernel tells of
// its end through a descriptor, so that no signal handler is involved and nobody else's children are touched.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "base/log.hpp"
#include "fiber/scheduler.hpp"
#include "lua/socket/input.hpp"

namespace mp::lua {

class PipeProcess;

// The programs of one worker. Held by RuntimeMain.
class PipeProcesses {
 public:
  PipeProcesses() = default;
  PipeProcesses(const PipeProcesses&) = delete;
  PipeProcesses& operator=(const PipeProcesses&) = delete;
  ~PipeProcesses();

 private:
  friend class PipeProcess;
  PipeProcess* first_ = nullptr;
};

class PipeProcess {
 public:
  enum class Mode : std::uint8_t { all, bytes, line, any };
  enum Stream : std::uint8_t { kOut, kErr };

  struct Program {
    const char* path;           // looked for in PATH
    char* const* arguments;     // with the program's name first, null at the end
    char* const* environment;   // null: the worker's
    bool merge_stderr = false;  // stderr goes where stdout goes
    std::size_t buffer_size = 4096;
  };

  struct Timeouts {  // milliseconds; 0: none
    fiber::Msec write = 10000;
    fiber::Msec out = 10000;
    fiber::Msec err = 10000;
    fiber::Msec wait = 10000;
  };

  PipeProcess() = default;
  PipeProcess(const PipeProcess&) = delete;
  PipeProcess& operator=(const PipeProcess&) = delete;
  ~PipeProcess();

  // Starts the program; once. The error is the text for scripts.
  Status start(PipeProcesses& processes, const Program& program, const log::Logger& logger);

  // Null: done, and take() gives the bytes; otherwise what went wrong, and take() gives what had come before.
  // Parks.
  const char* read(Stream stream, Mode mode, std::size_t size);
  std::string_view taken() const { return taken_; }
  // Null when everything was written. Parks.
  const char* write(std::string_view bytes);

  struct Ended {
    const char* reason;  // "exit", "signal", "unknown"
    int status;
  };
  // Waits for its end; after that nothing can be read any more. Parks. An error in `error`.
  std::optional<Ended> wait(const char*& error);

  const char* shut_down_stdin();
  const char* shut_down(Stream stream);
  const char* kill(int signal);
  pid_t pid() const { return pid_; }

  Timeouts timeouts;

 private:
  friend class PipeProcesses;

  // Our end of one of its streams.
  struct End : fiber::Watch {
    ~End() { close(); }
    bool adopt(int descriptor);
    void close();
    bool busy = false;
  };
  struct Source : End {
    Input input;
    bool eof = false;
  };
  class Exit final : public fiber::Watch {
   public:
    explicit Exit(PipeProcess& process) : process_(process) {}

   protected:
    void on_ready() override { process_.reap(); }

   private:
    PipeProcess& process_;
  };

  Status spawn(const Program& program, const int (&ends)[3], bool& never_ran);
  Source& source(Stream stream) { return stream == kErr ? err_ : out_; }
  std::uintptr_t name() const;  // in debug lines
  void about_to_wait(const char* what, fiber::Msec timeout) const;
  const char* fill(Source& source, fiber::Msec timeout, fiber::Msec deadline);
  void take_out(Source& source, std::size_t size) {
    taken_.assign(source.input.view().substr(0, size));
    source.input.consume(size);
  }
  const char* read_line(Source& source, fiber::Msec timeout, fiber::Msec deadline);
  void reap();
  void finish();
  void unlink();
  void abandon(bool reaping);

  pid_t pid_ = -1;
  int pid_fd_ = -1;
  Exit exit_{*this};
  bool dead_ = false;    // it has ended, and was reaped
  bool closed_ = false;  // its end was taken notice of, or nothing was started
  bool waiting_ = false;
  bool merged_ = false;
  Ended ended_{"unknown", 0};
  fiber::Event exited_;
  End in_;
  Source out_;
  Source err_;
  std::size_t buffer_size_ = 4096;
  std::string taken_;
  log::Logger logger_;

  PipeProcesses* list_ = nullptr;
  PipeProcess* next_ = nullptr;
  PipeProcess** link_in_ = nullptr;
};

}  // namespace mp::lua
