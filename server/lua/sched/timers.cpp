#include "lua/sched/timers.hpp"

#include <algorithm>
#include <utility>

#include "http/core_conf.hpp"
#include "http/server_select.hpp"
#include "lua/request_data.hpp"
#include "lua/sched/detached.hpp"
#include "lua/sched/light_thread.hpp"

namespace mp::lua {

namespace {

class TimerSubject final : public log::Subject {
 public:
  TimerSubject(const std::string& about, std::uint64_t connection) : about_(about), connection_(connection) {}
  void describe(std::string& out) const override { out.append(about_); }
  std::uint64_t connection_id() const override { return connection_; }

 private:
  const std::string& about_;
  std::uint64_t connection_;
};

// What the log lines of the timers end with that one request sets.
struct TimersOfRequest {
  std::shared_ptr<const std::string> about;
};

std::shared_ptr<const std::string> describe(http::Request& creator) {
  auto& known = creator.ctx<TimersOfRequest>().about;
  if (known != nullptr) return known;
  std::string about = ", context: ngx.timer";
  if (!is_detached(creator)) {
    char text[net::Address::kMaxText];
    about.append(", client: ").append(text, creator.connection.client.print(text));
    if (creator.connection.address != nullptr)
      about.append(", server: ").append(creator.connection.address->text);
  }
  return known = std::make_shared<const std::string>(std::move(about));
}

}  // namespace

Timers::Kept::Kept(lua_State* L, int index) : vm_(Vm::of(L)), arguments_(lua_gettop(L) - index) {
  if (arguments_ == 0) {
    lua_pushvalue(L, index);
  } else {
    lua_createtable(L, arguments_ + 1, 0);
    for (int i = 0; i <= arguments_; ++i) {
      lua_pushvalue(L, index + i);
      lua_rawseti(L, -2, i + 1);
    }
  }
  reference_ = luaL_ref(L, LUA_REGISTRYINDEX);
}

Timers::Kept::~Kept() {
  luaL_unref(vm_.state(), LUA_REGISTRYINDEX, reference_);
}

void Timers::Kept::push_function(lua_State* L) const {
  lua_rawgeti(L, LUA_REGISTRYINDEX, reference_);
  if (arguments_ == 0) return;
  lua_rawgeti(L, -1, 1);
  lua_remove(L, -2);
}

int Timers::Kept::push_call(lua_State* L, bool premature) const {
  lua_checkstack(L, arguments_ + 3);
  push_function(L);
  lua_pushboolean(L, premature ? 1 : 0);
  if (arguments_ == 0) return 1;
  lua_rawgeti(L, LUA_REGISTRYINDEX, reference_);
  const int table = lua_gettop(L);
  for (int i = 0; i < arguments_; ++i) lua_rawgeti(L, table, i + 2);
  lua_remove(L, table);
  return arguments_ + 1;
}

Timers::~Timers() = default;

Timers::Added Timers::add(lua_State* L, int index, fiber::Msec delay, fiber::Msec repeat,
                          http::Request& creator) {
  if (exiting_ && delay > 0) return Added::exiting;
  if (pending() >= limits_.pending) return Added::too_many;
  Entries one;
  Entry& entry = one.emplace_back(*this);
  entry.own_vm = creator.ctx<RequestData>().own_vm;
  entry.vm = &Vm::of(L);
  entry.kept = std::make_shared<const Kept>(L, index);
  entry.sets = creator.sets;
  entry.repeat = repeat;
  entry.about = describe(creator);
  entry.connection = creator.connection.number;
  arm(one, delay);
  return Added::yes;
}

// Sets a timer that has fired, and is about to run, for its next time.
void Timers::repeat(const Entry& entry) {
  Entries one;
  Entry& again = one.emplace_back(*this);
  again.own_vm = entry.own_vm;
  again.vm = entry.vm;
  again.kept = entry.kept;
  again.sets = entry.sets;
  again.repeat = entry.repeat;
  again.about = entry.about;
  again.connection = entry.connection;
  arm(one, entry.repeat);
}

void Timers::arm(Entries& entry, fiber::Msec delay) {
  Entry& armed = entry.front();
  armed.place = entry.begin();
  pending_.splice(pending_.end(), entry);
  fiber::here()->arm(armed, fiber::now() + delay);
}

void Timers::fire(Entry& entry) {
  Entries due;
  due.splice(due.end(), pending_, entry.place);
  if (entry.repeat != 0 && !exiting_) repeat(entry);
  // The fiber may be on the way when the next timer fires.
  fired_.push_back(nullptr);
  fiber::Fiber*& slot = fired_.back();
  slot = fiber::spawn([this, due = std::move(due)]() mutable {
    struct Fired {
      Timers& timers;
      ~Fired() { std::erase(timers.fired_, fiber::current()); }
    } fired{*this};
    begin(due.front());
  });
}

// "=content_by_lua(nginx.conf:40):2": where the function was written.
std::string Timers::origin(const Entry& entry) {
  lua_State* L = entry.vm->state();
  lua_Debug info;
  entry.kept->push_function(L);
  lua_getinfo(L, ">S", &info);
  return std::string(info.source).append(":").append(std::to_string(info.linedefined));
}

void Timers::begin(Entry& entry) {
  if (running_count_ >= limits_.running) {
    const log::Logger logger{entry.sets.get<http::CoreLocation>().error_log.get(), nullptr};
    log::alert(
        logger,
        "lua failed to run timer with function defined at {}: {} lua_max_running_timers are not enough",
        origin(entry), limits_.running);
    return;
  }
  struct Counted {
    int& count;
    explicit Counted(int& c) : count(c) { ++count; }
    ~Counted() { --count; }
  } counted(running_count_);
  run(entry);
}

void Timers::run(Entry& entry) {
  Detached detached(entry.sets);
  http::Request& request = detached.request();
  const TimerSubject subject(*entry.about, entry.connection);
  request.logger = {request.conf<http::CoreLocation>().error_log.get(), &subject};
  RequestData& data = request.ctx<RequestData>();
  data.own_vm = entry.own_vm;
  data.vm = entry.vm;
  log::debug(request.logger, "lua ngx.timer expired");
  struct Closed {
    const log::Logger& logger;
    ~Closed() { log::debug(logger, "http lua close fake http connection"); }
  } const closed{request.logger};
  const RunScope run(*entry.vm, &request, kTimer);
  const int count = entry.kept->push_call(run->entry(), entry.premature);
  entry.kept.reset();
  run->go(count);
}

void Timers::begin_shutdown() {
  exiting_ = true;
  for (Entry& entry : pending_) {
    entry.premature = true;
    fiber::here()->arm(entry, fiber::now());
  }
}

void Timers::cancel_all() {
  for (fiber::Fiber* fiber : std::vector<fiber::Fiber*>(fired_)) {
    if (fiber != nullptr) fiber::cancel(*fiber);
  }
}

}  // namespace mp::lua
