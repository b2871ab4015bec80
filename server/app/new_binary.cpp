#include "app/new_binary.hpp"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <unistd.h>

#include "app/environment.hpp"
#include "app/process_title.hpp"

namespace mp::app {
namespace {

constexpr std::size_t kTitleRoom = 300;

// The arguments and the environment of a successor, in the form that execve() takes.
struct Launch {
  std::string path;
  std::vector<std::string> variables;
  std::vector<char*> argv;
  std::vector<char*> envp;

  Launch(Cycle& cycle, const Listeners& listeners) {
    const std::vector<std::string>& arguments = saved_arguments();
    // A name without a slash was found along PATH; the link knows where.
    path = arguments.front().find('/') == std::string::npos ? "/proc/self/exe" : arguments.front();
    for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
    argv.push_back(nullptr);
    variables = select_environment(cycle.process().env, environ);
    variables.push_back(std::string(kSocketsVariable) + "=" + listeners.numbers());
    if (const char* identity = std::getenv("MOONPHASE_IDENTITY")) {
      variables.push_back(std::string("MOONPHASE_IDENTITY=") + identity);
    }
    // Room for the title of the new process, which is written over its environment.
    variables.push_back("SPARE=" + std::string(kTitleRoom, 'X'));
    for (std::string& v : variables) envp.push_back(v.data());
    envp.push_back(nullptr);
  }

  void exec() const { execve(path.c_str(), argv.data(), envp.data()); }
};

}  // namespace

pid_t start_new_binary(Cycle& cycle, const Listeners& listeners) {
  const conf::ProcessConf& process = cycle.process();
  const log::Logger logger = cycle.logger();
  const Launch launch(cycle, listeners);
  if (rename(process.pid_path.c_str(), process.old_pid_path.c_str()) == -1) {
    log::alert(logger, log::Errno{errno},
               "rename() {} to {} failed before executing new binary process \"{}\"", process.pid_path,
               process.old_pid_path, launch.path);
    return -1;
  }
  const pid_t pid = fork();
  if (pid == 0) {
    listeners.let_exec_inherit();
    launch.exec();
    log::alert(logger, log::Errno{errno}, "execve() failed while executing new binary process \"{}\"",
               launch.path);
    std::_Exit(1);
  }
  if (pid == -1) {
    log::alert(logger, log::Errno{errno}, "fork() failed while spawning \"new binary process\"");
    if (rename(process.old_pid_path.c_str(), process.pid_path.c_str()) == -1) {
      log::alert(logger, log::Errno{errno},
                 "rename() {} back to {} failed after an attempt to execute new binary process \"{}\"",
                 process.old_pid_path, process.pid_path, launch.path);
    }
    return -1;
  }
  log::notice(logger, "start new binary process {}", pid);
  return pid;
}

void restart_in_place(Cycle& cycle, const Listeners& listeners) {
  const Launch launch(cycle, listeners);
  listeners.let_exec_inherit();
  cycle.wide().files.flush();
  // Signals that come from here on find the successor's handlers.
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, nullptr);
  launch.exec();
  log::alert(cycle.logger(), log::Errno{errno}, "execve() failed while executing \"{}\"", launch.path);
}

}  // namespace mp::app
