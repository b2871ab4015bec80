#include "app/signals.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <iterator>

#include <sys/eventfd.h>
#include <unistd.h>

namespace mp::app {
namespace {

struct Row {
  int signo;
  std::string_view name;
  std::string_view command;  // of -s
};
constexpr Row kSignals[] = {
    {SIGHUP, "SIGHUP", "reload"}, {SIGUSR1, "SIGUSR1", "reopen"}, {SIGWINCH, "SIGWINCH", ""},
    {SIGTERM, "SIGTERM", "stop"}, {SIGQUIT, "SIGQUIT", "quit"},   {SIGUSR2, "SIGUSR2", ""},
    {SIGALRM, "SIGALRM", ""},     {SIGINT, "SIGINT", ""},         {SIGIO, "SIGIO", ""},
    {SIGCHLD, "SIGCHLD", ""},
};

// The notes: a ring that the handler fills and the loop empties, on one thread. A full ring drops further
// notes; 64 unread signals of one process are the same few over and over.
constexpr unsigned kNotes = 64;
struct Ring {
  Signals::Note notes[kNotes];
  std::atomic<unsigned> head{0};
  std::atomic<unsigned> tail{0};
  std::atomic<int> fd{-1};
};
Ring ring;
static_assert(std::atomic<unsigned>::is_always_lock_free);

void note_signal(int signo, siginfo_t* info, void*) {
  const int saved = errno;
  const unsigned head = ring.head.load(std::memory_order_relaxed);
  if (head - ring.tail.load(std::memory_order_acquire) < kNotes) {
    const bool from_process = info != nullptr && info->si_code <= 0;
    const bool child = info != nullptr && signo == SIGCHLD;
    ring.notes[head % kNotes] = {signo, from_process || child ? info->si_pid : 0};
    ring.head.store(head + 1, std::memory_order_release);
  }
  const std::uint64_t one = 1;
  (void)!::write(ring.fd.load(std::memory_order_relaxed), &one, sizeof one);
  errno = saved;
}

Verdict decide_master(int signo, SignalState state) {
  switch (signo) {
    case SIGQUIT:
      return {Action::quit, ", shutting down"};
    case SIGTERM:
    case SIGINT:
      return {Action::terminate, ", exiting"};
    case SIGWINCH:
      if (!state.daemonized) return {};
      return {Action::no_accept, ", stop accepting connections"};
    case SIGHUP:
      return {Action::reconfigure, ", reconfiguring"};
    case SIGUSR1:
      return {Action::reopen, ", reopening logs"};
    case SIGUSR2:
      if (state.upgrading) return {Action::none, ", ignoring"};
      return {Action::change_binary, ", changing binary"};
    case SIGCHLD:
      return {Action::reap, ""};
    default:
      return {};
  }
}

Verdict decide_worker(int signo, SignalState state) {
  switch (signo) {
    case SIGWINCH:
      if (!state.daemonized) return {};
      return {Action::quit, ", shutting down"};
    case SIGQUIT:
      return {Action::quit, ", shutting down"};
    case SIGTERM:
    case SIGINT:
      return {Action::terminate, ", exiting"};
    case SIGUSR1:
      return {Action::reopen, ", reopening logs"};
    case SIGHUP:
    case SIGUSR2:
    case SIGIO:
      return {Action::none, ", ignoring"};
    default:
      return {};
  }
}

}  // namespace

Verdict decide(Role role, int signo, SignalState state) {
  return role == Role::worker ? decide_worker(signo, state) : decide_master(signo, state);
}

std::string_view signal_name(int signo) {
  const auto* row = std::find_if(std::begin(kSignals), std::end(kSignals),
                                 [signo](const Row& r) { return r.signo == signo; });
  return row == std::end(kSignals) ? std::string_view("SIG?") : row->name;
}

int signal_for_command(std::string_view command) {
  const auto* row = std::find_if(std::begin(kSignals), std::end(kSignals), [command](const Row& r) {
    return !command.empty() && r.command == command;
  });
  return row == std::end(kSignals) ? 0 : row->signo;
}

Status Signals::install(Role role) {
  const int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd == -1) return fail(system_error(errno, "eventfd() failed"));
  // Signals that arrive while the descriptor changes hands go to the new one.
  const int old = ring.fd.exchange(fd);
  if (old != -1) ::close(old);
  ring.tail.store(ring.head.load());

  for (const Row& row : kSignals) {
    struct sigaction sa{};
    sigemptyset(&sa.sa_mask);
    // Who serves requests leaves the children of Lua code to the code that started them.
    if (role != Role::master && row.signo == SIGCHLD) {
      sa.sa_handler = SIG_DFL;
    } else {
      sa.sa_sigaction = note_signal;
      sa.sa_flags = SA_SIGINFO | SA_RESTART;
    }
    if (sigaction(row.signo, &sa, nullptr) == -1) {
      return fail(system_error(errno, "sigaction(" + std::string(row.name) + ") failed"));
    }
  }
  // SIGXFSZ: a file that may not grow any more is an error of that write, like a full disk.
  for (const int ignored : {SIGSYS, SIGPIPE, SIGXFSZ}) {
    struct sigaction sa{};
    sa.sa_handler = SIG_IGN;
    sigemptyset(&sa.sa_mask);
    if (sigaction(ignored, &sa, nullptr) == -1) return fail(system_error(errno, "sigaction() failed"));
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  return {};
}

int Signals::fd() {
  return ring.fd.load(std::memory_order_relaxed);
}

std::optional<Signals::Note> Signals::next() {
  const unsigned tail = ring.tail.load(std::memory_order_relaxed);
  if (tail == ring.head.load(std::memory_order_acquire)) {
    std::uint64_t count = 0;
    (void)!::read(fd(), &count, sizeof count);
    // A signal may have come between the two looks; its write follows its note, so look again after the read.
    if (tail == ring.head.load(std::memory_order_acquire)) return std::nullopt;
  }
  const Note note = ring.notes[tail % kNotes];
  ring.tail.store(tail + 1, std::memory_order_release);
  return note;
}

}  // namespace mp::app
