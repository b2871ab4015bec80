#include "lua/pipe/process.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <utility>

#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace mp::lua {

namespace {

fiber::Msec deadline_of(fiber::Msec timeout) {
  return timeout == 0 ? fiber::kNever : fiber::now() + timeout;
}

// A pipe whose ends are closed when nobody has taken them.
struct Pipe {
  int read = -1;
  int write = -1;
  Pipe() = default;
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    if (read >= 0) close(read);
    if (write >= 0) close(write);
  }
  bool open() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    read = ends[0];
    write = ends[1];
    return true;
  }
};

// The attributes of the new process: no signal blocked, none ignored or handled.
struct Attributes {
  posix_spawnattr_t value;
  Attributes() {
    posix_spawnattr_init(&value);
    sigset_t set;
    sigemptyset(&set);
    posix_spawnattr_setsigmask(&value, &set);
    sigfillset(&set);
    posix_spawnattr_setsigdefault(&value, &set);
    posix_spawnattr_setflags(&value, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
  ~Attributes() { posix_spawnattr_destroy(&value); }
};

// Its descriptors: the three streams and nothing else.
struct Descriptors {
  posix_spawn_file_actions_t value;
  explicit Descriptors(const int (&ends)[3]) {
    posix_spawn_file_actions_init(&value);
    for (int i = 0; i < 3; ++i) posix_spawn_file_actions_adddup2(&value, ends[i], i);
    posix_spawn_file_actions_addclosefrom_np(&value, 3);
  }
  Descriptors(const Descriptors&) = delete;
  Descriptors& operator=(const Descriptors&) = delete;
  ~Descriptors() { posix_spawn_file_actions_destroy(&value); }
};

// A worker is bound to its CPUs; its programs are not.
void free_of_cpu_affinity(pid_t pid) {
  cpu_set_t mine;
  if (sched_getaffinity(0, sizeof mine, &mine) != 0) return;
  if (CPU_COUNT(&mine) >= sysconf(_SC_NPROCESSORS_ONLN)) return;
  cpu_set_t all;
  std::memset(&all, 0xff, sizeof all);
  sched_setaffinity(pid, sizeof all, &all);
}

// Says so when a wait ends because the light thread was killed.
struct Interrupted {
  const log::Logger& logger;
  const char* what;
  int exceptions = std::uncaught_exceptions();
  Interrupted(const Interrupted&) = delete;
  Interrupted& operator=(const Interrupted&) = delete;
  Interrupted(const log::Logger& l, const char* w) : logger(l), what(w) {}
  ~Interrupted() {
    if (std::uncaught_exceptions() > exceptions) log::debug(logger, "lua pipe proc {} cleanup", what);
  }
};

// Takes notice of the end of a child that was killed, whenever that comes; owns the descriptor.
void reap_later(pid_t pid, int pid_fd) {
  fiber::spawn([pid, pid_fd] {
    struct Closed {
      int fd;
      ~Closed() { close(fd); }
    } const closed{pid_fd};
    fiber::Watch watch;
    siginfo_t info{};
    const bool watched = watch.add(pid_fd, EPOLLIN | EPOLLET);
    while (waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0) {
      if (!watched) break;
      watch.reader = fiber::ticket();
      fiber::wait();
    }
  });
}

// Nothing of the worker is at fault: the program could not be found or run.
bool is_about_program(int error) {
  return error != EAGAIN && error != ENOMEM && error != EMFILE && error != ENFILE;
}

}  // namespace

// ---- PipeProcesses

PipeProcesses::~PipeProcesses() {
  // Who reaps them when the worker is gone is the system.
  while (first_ != nullptr) first_->abandon(false);
}

// ---- End

bool PipeProcess::End::adopt(int descriptor) {
  const int flags = fcntl(descriptor, F_GETFL);
  if (flags == -1 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) == -1 || !add(descriptor)) {
    ::close(descriptor);
    return false;
  }
  return true;
}

void PipeProcess::End::close() {
  const int descriptor = fd();
  if (descriptor < 0) return;
  remove();
  ::close(descriptor);
}

// ---- start and end

PipeProcess::~PipeProcess() {
  log::debug(logger_, "lua pipe destroy process:{:X} pid:{}", name(), pid_);
  abandon(true);
}

void PipeProcess::unlink() {
  if (link_in_ == nullptr) return;
  *link_in_ = next_;
  if (next_ != nullptr) next_->link_in_ = link_in_;
  next_ = nullptr;
  link_in_ = nullptr;
}

std::uintptr_t PipeProcess::name() const {
  return reinterpret_cast<std::uintptr_t>(this);
}

void PipeProcess::about_to_wait(const char* what, fiber::Msec timeout) const {
  if (timeout != 0) log::debug(logger_, "lua pipe add timer for {}: {}(ms)", what, timeout);
}

// Nobody will ask for it any more, or the worker ends.
void PipeProcess::abandon(bool reaping) {
  if (list_ == nullptr) return;
  if (!dead_ && pid_ > 0) {
    log::debug(logger_, "lua pipe kill process:{:X} pid:{}", name(), pid_);
    if (::kill(pid_, SIGKILL) == -1 && errno != ESRCH) {
      log::error(logger_, log::Errno{errno}, "lua pipe failed to kill process {}", pid_);
    }
    exit_.remove();
    if (reaping) reap_later(pid_, std::exchange(pid_fd_, -1));
    dead_ = true;
  }
  finish();
  exit_.remove();
  if (pid_fd_ >= 0) close(std::exchange(pid_fd_, -1));
  unlink();
  list_ = nullptr;
}

void PipeProcess::finish() {
  closed_ = true;
  in_.close();
  out_.close();
  err_.close();
}

Status PipeProcess::spawn(const Program& program, const int (&ends)[3], bool& never_ran) {
  const Attributes attributes;
  const Descriptors descriptors(ends);
  char* const* environment = program.environment != nullptr ? program.environment : environ;
  const int error = posix_spawnp(&pid_, program.path, &descriptors.value, &attributes.value,
                                 program.arguments, environment);
  if (error == 0) return {};
  pid_ = -1;
  if (!is_about_program(error)) return fail(std::string("fork failed: ") + std::strerror(error));
  log::crit(logger_, log::Errno{error}, "lua pipe child {} failed while executing {}",
            program.environment != nullptr ? "execvpe()" : "execvp()", program.path);
  never_ran = true;
  return {};
}

Status PipeProcess::start(PipeProcesses& processes, const Program& program, const log::Logger& logger) {
  logger_ = logger;
  merged_ = program.merge_stderr;
  buffer_size_ = program.buffer_size;
  closed_ = true;
  Pipe in;
  Pipe out;
  Pipe err;
  if (!in.open() || !out.open() || (!merged_ && !err.open())) {
    return fail(std::string("pipe failed: ") + std::strerror(errno));
  }
  bool never_ran = false;
  TRY(spawn(program, {in.read, out.write, merged_ ? out.write : err.write}, never_ran));
  closed_ = false;
  list_ = &processes;
  next_ = processes.first_;
  if (next_ != nullptr) next_->link_in_ = &next_;
  link_in_ = &processes.first_;
  processes.first_ = this;
  if (never_ran) {  // as if a child had tried and given up
    dead_ = true;
    ended_ = {"exit", 1};
  } else {
    free_of_cpu_affinity(pid_);
    pid_fd_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
    if (pid_fd_ < 0 || !exit_.add(pid_fd_, EPOLLIN | EPOLLET)) {
      return fail(std::string("pidfd_open failed: ") + std::strerror(errno));
    }
  }
  const bool adopted = in_.adopt(std::exchange(in.write, -1)) && out_.adopt(std::exchange(out.read, -1)) &&
                       (merged_ || err_.adopt(std::exchange(err.read, -1)));
  if (!adopted) return fail(std::string("pipe failed: ") + std::strerror(errno));
  log::debug(logger_, "lua pipe spawn process:{:X} pid:{} merge_stderr:{} buffer_size:{}", name(), pid_,
             merged_ ? 1 : 0, buffer_size_);
  return {};
}

// The kernel says that it has ended.
void PipeProcess::reap() {
  if (dead_) return;
  siginfo_t info{};
  if (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG) == -1 || info.si_pid == 0) return;
  dead_ = true;
  log::notice(logger_, "signal {} (SIGCHLD) received from {}", SIGCHLD, pid_);
  if (info.si_code == CLD_EXITED) {
    ended_ = {"exit", info.si_status};
  } else {
    ended_ = {"signal", info.si_status};
  }
  exited_.notify_all();
}

std::optional<PipeProcess::Ended> PipeProcess::wait(const char*& error) {
  error = nullptr;
  if (closed_) {
    error = "exited";
    return std::nullopt;
  }
  if (waiting_) {
    error = "pipe busy waiting";
    return std::nullopt;
  }
  struct Waiting {
    bool& flag;
    ~Waiting() { flag = false; }
  } const waiting{waiting_};
  waiting_ = true;
  log::debug(logger_, "lua pipe wait process:{:X} pid:{}", name(), pid_);
  const fiber::Msec deadline = deadline_of(timeouts.wait);
  if (!dead_) about_to_wait("waiting", timeouts.wait);
  const Interrupted interrupted{logger_, "wait"};
  while (!dead_) {
    if (exited_.wait(deadline)) continue;
    error = "timeout";
    return std::nullopt;
  }
  finish();
  return ended_;
}

const char* PipeProcess::kill(int signal) {
  if (closed_ || dead_) return "exited";
  if (::kill(pid_, signal) == 0) return nullptr;
  switch (errno) {
    case EINVAL:
      return "invalid signal";
    case ESRCH:
      return "exited";
    default:
      return std::strerror(errno);
  }
}

const char* PipeProcess::shut_down_stdin() {
  if (closed_) return "closed";
  in_.close();
  return nullptr;
}

const char* PipeProcess::shut_down(Stream stream) {
  if (closed_) return "closed";
  if (stream == kErr && merged_) return "merged to stdout";
  source(stream).close();
  return nullptr;
}

// ---- reading

// More bytes, or why there are none.
const char* PipeProcess::fill(Source& source, fiber::Msec timeout, fiber::Msec deadline) {
  for (;;) {
    if (source.fd() < 0) return "aborted";
    if (source.eof) return "closed";
    const std::span<char> room = source.input.room(buffer_size_);
    const ssize_t n = ::read(source.fd(), room.data(), room.size());
    if (n > 0) {
      source.input.filled(static_cast<std::size_t>(n));
      return nullptr;
    }
    if (n == 0) {
      source.eof = true;
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return std::strerror(errno);
    about_to_wait("reading", timeout);
    log::debug(logger_, "lua pipe read yielding");
    const Interrupted interrupted{logger_, &source == &err_ ? "read stderr" : "read stdout"};
    source.reader = fiber::ticket();
    const bool woken = fiber::wait(deadline);
    source.reader = {};
    if (!woken) return "timeout";
  }
}

// Carriage returns are dropped, as everywhere where lines are read.
const char* PipeProcess::read_line(Source& source, fiber::Msec timeout, fiber::Msec deadline) {
  std::size_t seen = 0;
  const char* error = nullptr;
  std::size_t size = 0;
  for (;;) {
    const std::string_view bytes = source.input.view();
    const std::size_t end = bytes.find('\n', seen);
    size = end == std::string_view::npos ? bytes.size() : end + 1;
    if (end != std::string_view::npos) break;
    seen = bytes.size();
    error = fill(source, timeout, deadline);
    if (error != nullptr) break;
  }
  take_out(source, size);
  if (error == nullptr) taken_.pop_back();
  std::erase(taken_, '\r');
  return error;
}

const char* PipeProcess::read(Stream stream, Mode mode, std::size_t size) {
  taken_.clear();
  if (closed_) return "closed";
  if (stream == kErr && merged_) return "merged to stdout";
  Source& source = this->source(stream);
  if (source.fd() < 0) return "closed";
  if (source.busy) return "pipe busy reading";
  struct Busy {
    bool& flag;
    ~Busy() { flag = false; }
  } const busy{source.busy};
  source.busy = true;
  log::debug(logger_, "lua pipe read process:{:X} pid:{}", name(), pid_);
  const fiber::Msec timeout = stream == kErr ? timeouts.err : timeouts.out;
  const fiber::Msec deadline = deadline_of(timeout);
  const char* error = nullptr;
  if (mode == Mode::line) return read_line(source, timeout, deadline);
  const std::size_t wanted = mode == Mode::all ? SIZE_MAX : mode == Mode::any ? 1 : size;
  while (error == nullptr && source.input.size() < wanted) error = fill(source, timeout, deadline);
  if (mode == Mode::all && error != nullptr && std::string_view(error) == "closed") error = nullptr;
  take_out(source, std::min(source.input.size(), mode == Mode::all ? SIZE_MAX : size));
  return error;
}

// ---- writing

const char* PipeProcess::write(std::string_view bytes) {
  if (closed_ || in_.fd() < 0) return "closed";
  if (in_.busy) return "pipe busy writing";
  struct Busy {
    bool& flag;
    ~Busy() { flag = false; }
  } const busy{in_.busy};
  in_.busy = true;
  log::debug(logger_, "lua pipe write process:{:X} pid:{}", name(), pid_);
  const fiber::Msec deadline = deadline_of(timeouts.write);
  while (!bytes.empty()) {
    if (in_.fd() < 0) return "aborted";
    const ssize_t n = ::write(in_.fd(), bytes.data(), bytes.size());
    if (n >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) {
      const int error = errno;
      log::info(logger_, log::Errno{error}, "lua pipe write data error pipe:{:X}", name());
      return error == EPIPE ? "closed" : std::strerror(error);
    }
    about_to_wait("writing", timeouts.write);
    log::debug(logger_, "lua pipe write yielding");
    const Interrupted interrupted{logger_, "write"};
    in_.writer = fiber::ticket();
    const bool woken = fiber::wait(deadline);
    in_.writer = {};
    if (!woken) return "timeout";
  }
  return nullptr;
}

}  // namespace mp::lua
