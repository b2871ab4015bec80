// WorkerThreads: what ngx.run_worker_thread() works with in one worker: the pools of threads that the
// configuration names, and VMs for Lua code on them. Held by RuntimeMain; gone when the worker ends.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "conf/process_conf.hpp"
#include "fiber/thread_pool.hpp"
#include "lua/sched/parcel.hpp"
#include "lua/vm/vm.hpp"

namespace mp::lua {

// The VMs of one worker that wait for their next call. Calls hold it too, since they may outlive the rest.
class ThreadVms {
 public:
  ThreadVms(const Vm::Options& options, int most) : options_(options), most_(most) {}

  // The right to use a VM, with one when there is a spare one; false: all are in use.
  bool take(std::unique_ptr<Vm>& vm);
  // A null `vm` gives back the right only.
  void give_back(std::unique_ptr<Vm> vm);

  const Vm::Options& options() const { return options_; }

 private:
  const Vm::Options options_;
  const int most_;
  std::mutex mutex_;
  int in_use_ = 0;
  std::vector<std::unique_ptr<Vm>> spare_;
};

class WorkerThreads {
 public:
  WorkerThreads(const conf::ProcessConf& process, const Vm::Options& options, int most_vms);

  // Null when the configuration names no such pool. Its threads start when they are needed.
  fiber::ThreadPool* pool(std::string_view name);
  const std::shared_ptr<ThreadVms>& vms() const { return vms_; }

 private:
  const conf::ProcessConf& process_;
  std::map<std::string, fiber::ThreadPool, std::less<>> pools_;
  std::shared_ptr<ThreadVms> vms_;
};

// One call of a module's function on a thread.
class ThreadCall final : public fiber::ThreadPool::Job {
 public:
  // `vm` may be null: it is made on the thread, with these paths.
  ThreadCall(std::shared_ptr<ThreadVms> vms, std::unique_ptr<Vm> vm, Vm::Paths paths)
      : vms_(std::move(vms)), vm_(std::move(vm)), paths_(std::move(paths)) {}
  ~ThreadCall() override;

  void run() override;

  std::string module;
  std::string function;
  Parcel arguments;
  Parcel results;
  std::string error;  // not empty: it failed

 private:
  static int call(lua_State* L);
  bool make_vm();
  void run_in_vm();
  void give_back_vm();

  std::shared_ptr<ThreadVms> vms_;
  std::unique_ptr<Vm> vm_;
  bool holds_ = true;  // the right to use a VM
  Vm::Paths paths_;
};

}  // namespace mp::lua
