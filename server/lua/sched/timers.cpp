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

std::string describe(const http::Request& creator) {
  std::string about = ", context: ngx.timer";
  if (is_detached(creator)) return about;
  char text[net::Address::kMaxText];
  about.append(", client: ").append(text, creator.connection.client.print(text));
  if (creator.connection.address != nullptr)
    about.append(", server: ").append(creator.connection.address->text);
  return about;
}

// "=content_by_lua(nginx.conf:40):2": where the function at the bottom of the stack was written.
std::string origin(lua_State* L) {
  lua_Debug info;
  lua_pushvalue(L, 1);
  lua_getinfo(L, ">S", &info);
  return std::string(info.source).append(":").append(std::to_string(info.linedefined));
}

}  // namespace

Timers::~Timers() {
  for (const auto& entry : pending_) entry->vm->let_go(entry->values);
}

Timers::Added Timers::add(lua_State* L, int index, fiber::Msec delay, fiber::Msec repeat,
                          http::Request& creator) {
  if (exiting_ && delay > 0) return Added::exiting;
  if (pending() >= limits_.pending) return Added::too_many;
  auto entry = std::make_unique<Entry>(*this);
  RequestData& data = creator.ctx<RequestData>();
  entry->own_vm = data.own_vm;
  entry->vm = &Vm::of(L);
  entry->values = entry->vm->take_coroutine();
  const int top = lua_gettop(L);
  for (int i = index; i <= top; ++i) lua_pushvalue(L, i);
  lua_xmove(L, entry->values.L, top - index + 1);
  entry->sets = creator.sets;
  entry->repeat = repeat;
  entry->about = describe(creator);
  entry->connection = creator.connection.number;
  arm(std::move(entry), delay);
  return Added::yes;
}

std::unique_ptr<Timers::Entry> Timers::copy(const Entry& entry) {
  auto again = std::make_unique<Entry>(*this);
  again->own_vm = entry.own_vm;
  again->vm = entry.vm;
  again->values = again->vm->take_coroutine();
  lua_State* from = entry.values.L;
  const int count = lua_gettop(from);
  for (int i = 1; i <= count; ++i) lua_pushvalue(from, i);
  lua_xmove(from, again->values.L, count);
  again->sets = entry.sets;
  again->repeat = entry.repeat;
  again->about = entry.about;
  again->connection = entry.connection;
  return again;
}

void Timers::arm(std::unique_ptr<Entry> entry, fiber::Msec delay) {
  Entry& armed = *entry;
  armed.place = pending_.insert(pending_.end(), std::move(entry));
  fiber::here()->arm(armed, fiber::now() + delay);
}

void Timers::fire(Entry& entry) {
  std::unique_ptr<Entry> due = std::move(*entry.place);
  pending_.erase(entry.place);
  if (due->repeat != 0 && !exiting_) arm(copy(*due), due->repeat);
  // The fiber may be on the way when the next timer fires.
  fired_.push_back(nullptr);
  fiber::Fiber*& slot = fired_.back();
  slot = fiber::spawn([this, entry = std::move(due)]() mutable {
    struct Fired {
      Timers& timers;
      ~Fired() { std::erase(timers.fired_, fiber::current()); }
    } fired{*this};
    begin(*entry);
  });
}

void Timers::begin(Entry& entry) {
  if (running_count_ >= limits_.running) {
    const log::Logger logger{entry.sets.get<http::CoreLocation>().error_log.get(), nullptr};
    log::alert(
        logger,
        "lua failed to run timer with function defined at {}: {} lua_max_running_timers are not enough",
        origin(entry.values.L), limits_.running);
    entry.vm->let_go(entry.values);
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
  const TimerSubject subject(entry.about, entry.connection);
  request.logger = {request.conf<http::CoreLocation>().error_log.get(), &subject};
  RequestData& data = request.ctx<RequestData>();
  data.own_vm = entry.own_vm;
  data.vm = entry.vm;
  log::debug(request.logger, "lua ngx.timer expired");
  struct Closed {
    const log::Logger& logger;
    ~Closed() { log::debug(logger, "http lua close fake http connection"); }
  } const closed{request.logger};
  Run run(*entry.vm, &request, kTimer);
  const int values = lua_gettop(entry.values.L);
  lua_xmove(entry.values.L, run.entry(), values);
  entry.vm->give_back(entry.values, true);
  lua_pushboolean(run.entry(), entry.premature ? 1 : 0);
  lua_insert(run.entry(), 2);
  run.go(values);
}

void Timers::begin_shutdown() {
  exiting_ = true;
  for (const auto& entry : pending_) {
    entry->premature = true;
    fiber::here()->arm(*entry, fiber::now());
  }
}

void Timers::cancel_all() {
  for (fiber::Fiber* fiber : std::vector<fiber::Fiber*>(fired_)) {
    if (fiber != nullptr) fiber::cancel(*fiber);
  }
}

}  // namespace mp::lua
