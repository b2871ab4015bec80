#include "app/signals.hpp"

#include <csignal>

#include <catch2/catch.hpp>
#include <poll.h>
#include <unistd.h>

namespace mp::app {
namespace {

struct Case {
  int signo;
  Action action;
  const char* text;
};

TEST_CASE("what a master does on each signal", "[signals]") {
  const SignalState state{.daemonized = true, .upgrading = false};
  const Case cases[] = {
      {SIGQUIT, Action::quit, ", shutting down"},
      {SIGTERM, Action::terminate, ", exiting"},
      {SIGINT, Action::terminate, ", exiting"},
      {SIGHUP, Action::reconfigure, ", reconfiguring"},
      {SIGUSR1, Action::reopen, ", reopening logs"},
      {SIGUSR2, Action::change_binary, ", changing binary"},
      {SIGWINCH, Action::no_accept, ", stop accepting connections"},
      {SIGCHLD, Action::reap, ""},
      {SIGALRM, Action::none, ""},
  };
  for (const Case& c : cases) {
    const Verdict v = decide(Role::master, c.signo, state);
    CHECK(v.action == c.action);
    CHECK(v.text == c.text);
  }
  CHECK(decide(Role::master, SIGUSR2, {.daemonized = true, .upgrading = true}).text == ", ignoring");
  CHECK(decide(Role::master, SIGWINCH, {}).action == Action::none);
}

TEST_CASE("what a worker does on each signal", "[signals]") {
  const Case cases[] = {
      {SIGQUIT, Action::quit, ", shutting down"},
      {SIGTERM, Action::terminate, ", exiting"},
      {SIGINT, Action::terminate, ", exiting"},
      {SIGHUP, Action::none, ", ignoring"},
      {SIGUSR1, Action::reopen, ", reopening logs"},
      {SIGUSR2, Action::none, ", ignoring"},
      {SIGWINCH, Action::none, ""},
      {SIGCHLD, Action::none, ""},
  };
  for (const Case& c : cases) {
    const Verdict v = decide(Role::worker, c.signo, {});
    CHECK(v.action == c.action);
    CHECK(v.text == c.text);
  }
  CHECK(decide(Role::worker, SIGWINCH, {.daemonized = true}).action == Action::quit);
}

TEST_CASE("the commands of -s", "[signals]") {
  CHECK(signal_for_command("stop") == SIGTERM);
  CHECK(signal_for_command("quit") == SIGQUIT);
  CHECK(signal_for_command("reload") == SIGHUP);
  CHECK(signal_for_command("reopen") == SIGUSR1);
  CHECK(signal_for_command("") == 0);
  CHECK(signal_for_command("jump") == 0);
  CHECK(signal_name(SIGCHLD) == "SIGCHLD");
}

// The dispositions of this process come back after the test.
struct SavedHandlers {
  struct sigaction before[32]{};
  SavedHandlers() {
    for (int s = 1; s < 32; ++s) sigaction(s, nullptr, &before[s]);
  }
  ~SavedHandlers() {
    for (int s = 1; s < 32; ++s) {
      if (s != SIGKILL && s != SIGSTOP) sigaction(s, &before[s], nullptr);
    }
  }
};

TEST_CASE("signals are noted in order and make the descriptor readable", "[signals]") {
  const SavedHandlers saved;
  REQUIRE(Signals::install(Role::master));
  const auto readable = [] {
    pollfd p{Signals::fd(), POLLIN, 0};
    return poll(&p, 1, 0) == 1;
  };
  CHECK_FALSE(readable());
  raise(SIGHUP);
  kill(getpid(), SIGUSR1);
  CHECK(readable());
  auto note = Signals::next();
  REQUIRE(note);
  CHECK(note->signo == SIGHUP);
  CHECK(note->sender == getpid());
  note = Signals::next();
  REQUIRE(note);
  CHECK(note->signo == SIGUSR1);
  CHECK_FALSE(Signals::next());
  CHECK_FALSE(readable());
}

TEST_CASE("more signals than there is room for are dropped, not waited for", "[signals]") {
  const SavedHandlers saved;
  REQUIRE(Signals::install(Role::master));
  for (int i = 0; i < 200; ++i) raise(SIGUSR1);
  int count = 0;
  while (Signals::next()) ++count;
  CHECK(count == 64);
  raise(SIGUSR1);
  CHECK(Signals::next());
}

}  // namespace
}  // namespace mp::app
