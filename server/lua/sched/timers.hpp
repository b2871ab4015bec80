// Timers: the timers that scripts of one worker have set (ngx.timer). Each runs on a fiber of its own, with a
// request of nobody. Held by RuntimeMain of the configuration; gone when the worker ends.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <vector>

#include <lua.hpp>

#include "conf/module.hpp"
#include "fiber/scheduler.hpp"
#include "http/request.hpp"
#include "lua/vm/vm.hpp"

namespace mp::lua {

class Timers {
 public:
  struct Limits {
    int pending = 1024;
    int running = 256;
  };
  explicit Timers(Limits limits) : limits_(limits) {}
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;
  ~Timers();

  enum class Added : std::uint8_t { yes, exiting, too_many };

  // Function and arguments lie on `L` from `index` to the top: they stay there. Fires after `delay`, then
  // every `repeat` when that is not 0. The timer has the settings of `creator`, and its Vm.
  Added add(lua_State* L, int index, fiber::Msec delay, fiber::Msec repeat, http::Request& creator);

  int pending() const { return static_cast<int>(pending_.size()); }
  // Those that have begun; a timer that is due and ends without a wait is never one of many.
  int running() const { return running_count_; }
  bool exiting() const { return exiting_; }

  // The worker is to end: what is pending runs now, and is told that it is premature.
  void begin_shutdown();
  bool idle() const { return pending_.empty() && fired_.empty(); }
  void cancel_all();

 private:
  // What a timer was set with, in the registry: the function, or a table of it and its arguments.
  class Kept {
   public:
    // They lie on `L` from `index` to the top, and stay there. Raises Lua's errors.
    Kept(lua_State* L, int index);
    ~Kept();
    Kept(const Kept&) = delete;
    Kept& operator=(const Kept&) = delete;
    void push_function(lua_State* L) const;
    // Pushes the function, `premature` and the arguments. How many it gets.
    int push_call(lua_State* L, bool premature) const;

   private:
    Vm& vm_;
    const int arguments_;
    int reference_;
  };
  struct Entry final : fiber::Timer {
    explicit Entry(Timers& timers) : owner(timers) {}
    void expired() override { owner.fire(*this); }

    Timers& owner;
    std::list<Entry>::iterator place;
    std::shared_ptr<Vm> own_vm;  // keeps the creator's when that was not the worker's
    Vm* vm = nullptr;
    std::shared_ptr<const Kept> kept;  // shared with the next time of a timer that repeats
    conf::Sets sets;
    fiber::Msec repeat = 0;
    bool premature = false;
    std::shared_ptr<const std::string> about;  // what its log lines end with
    std::uint64_t connection = 0;
  };
  using Entries = std::list<Entry>;

  void fire(Entry& entry);
  void arm(Entries& entry, fiber::Msec delay);
  void repeat(const Entry& entry);
  static std::string origin(const Entry& entry);
  void begin(Entry& entry);
  void run(Entry& entry);

  Limits limits_;
  Entries pending_;
  std::vector<fiber::Fiber*> fired_;  // their fibers, which may still wait for their turn
  int running_count_ = 0;
  bool exiting_ = false;
};

}  // namespace mp::lua
