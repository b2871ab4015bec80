// ngx.semaphore: counting semaphores between the light threads of one worker. Waiters are served in the order
// they came, when everything that was ready at the time of the post has run: who posts sees the count he
// expects until then, and a waiter that is killed meanwhile has taken nothing.
#include <cstdint>

#include "fiber/scheduler.hpp"
#include "lua/api.hpp"

namespace mp::lua {
namespace {

class Semaphore final : fiber::Timer {
 public:
  explicit Semaphore(int resources) : resources_(resources) {}

  bool try_take() {
    if (first_ != nullptr || resources_ <= 0) return false;
    --resources_;
    return true;
  }

  // What is posted is for those who wait: while there is one, nobody who comes in between can take it.
  void post(int n) {
    resources_ += n;
    log::debug(logger(), "http lua semaphore post: {:X}, resources: {}", name(), count());
    if (first_ != nullptr && !armed()) fiber::here()->arm(*this, fiber::now());
  }

  int count() const { return resources_ - waiting_; }
  std::uintptr_t name() const { return reinterpret_cast<std::uintptr_t>(this); }  // in debug lines

  // False when the deadline passed. Throws Cancelled; what was granted meanwhile goes to the next.
  bool wait(fiber::Msec deadline) {
    Waiter self{fiber::ticket(), last_, nullptr};
    (last_ != nullptr ? last_->next : first_) = &self;
    last_ = &self;
    ++waiting_;
    log::debug(logger(), "http lua semaphore wait yielding");
    const fiber::Wake why = fiber::park(deadline);
    if (!self.granted) unlink(self);
    if (why == fiber::Wake::cancelled || fiber::cancelled(*self.ticket.fiber)) {
      log::debug(logger(), "http lua semaphore cleanup");
      if (self.granted) post(1);
      throw fiber::Cancelled{};
    }
    return self.granted;
  }

 private:
  struct Waiter {
    fiber::Ticket ticket;
    Waiter* prev;
    Waiter* next;
    bool granted = false;
  };
  void unlink(Waiter& waiter) {
    (waiter.prev != nullptr ? waiter.prev->next : first_) = waiter.next;
    (waiter.next != nullptr ? waiter.next->prev : last_) = waiter.prev;
    --waiting_;
    // Only what is waited on is sure to live until the timer fires.
    if (first_ == nullptr) disarm();
  }
  void expired() override {
    while (resources_ > 0 && first_ != nullptr) {
      --resources_;
      Waiter& waiter = *first_;
      unlink(waiter);
      waiter.granted = true;
      fiber::wake(waiter.ticket);
    }
  }

  int resources_;
  int waiting_ = 0;
  Waiter* first_ = nullptr;
  Waiter* last_ = nullptr;
};

// new(n): the semaphore. It has no destructor to run: what waits on it keeps it alive.
int make(lua_State* L) {
  const auto* made =
      new (lua_newuserdata(L, sizeof(Semaphore))) Semaphore(static_cast<int>(luaL_checkinteger(L, 1)));
  log::debug(logger(), "http lua semaphore new: {:X}, resources: {}", made->name(), made->count());
  return 1;
}

// wait(semaphore, milliseconds): true; or nil and "timeout" when it may not wait, false and "timeout" when it
// has. Parks.
int wait(lua_State* L) {
  auto& semaphore = *static_cast<Semaphore*>(lua_touserdata(L, 1));
  check_request(L, kWaiting);
  const auto milliseconds = static_cast<fiber::Msec>(luaL_checknumber(L, 2));
  if (semaphore.try_take() || (milliseconds > 0 && semaphore.wait(fiber::now() + milliseconds))) {
    lua_pushboolean(L, 1);
    return 1;
  }
  if (milliseconds == 0) return push_failure(L, "timeout");
  lua_pushboolean(L, 0);
  lua_pushliteral(L, "timeout");
  return 2;
}

constexpr luaL_Reg kFunctions[] = {
    {"new", make},
    {"wait", waits<wait>},
};

}  // namespace

extern const Group kSemaphoreGroup = {"semaphore", kFunctions};

}  // namespace mp::lua

extern "C" {

int mp_semaphore_try_take(void* semaphore) {
  mp::lua::Request* request = nullptr;
  if (mp::lua::usable(request, mp::lua::kWaiting) != mp::lua::kOk) return 0;
  auto& wanted = *static_cast<mp::lua::Semaphore*>(semaphore);
  mp::log::debug(mp::lua::logger(), "http lua semaphore wait: {:X}, resources: {}", wanted.name(),
                 wanted.count());
  return wanted.try_take() ? 1 : 0;
}

void mp_semaphore_post(void* semaphore, int n) {
  static_cast<mp::lua::Semaphore*>(semaphore)->post(n);
}

int mp_semaphore_count(void* semaphore) {
  return static_cast<mp::lua::Semaphore*>(semaphore)->count();
}
}
