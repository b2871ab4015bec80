// ngx.semaphore: counting semaphores between the light threads of one worker. Waiters are served in the order
// they came.
#include <cstdint>

#include "fiber/scheduler.hpp"
#include "lua/api.hpp"

namespace mp::lua {
namespace {

class Semaphore {
 public:
  explicit Semaphore(int resources) : resources_(resources) {}

  bool try_take() {
    if (first_ != nullptr || resources_ <= 0) return false;
    --resources_;
    return true;
  }

  // What is posted goes to those who wait first: nobody who comes in between can take it.
  void post(int n) {
    for (; n > 0 && first_ != nullptr; --n) {
      Waiter& waiter = *first_;
      unlink(waiter);
      waiter.granted = true;
      fiber::wake(waiter.ticket);
    }
    resources_ += n;
  }

  int count() const { return resources_ - waiting_; }

  // False when the deadline passed. Throws Cancelled; what was granted meanwhile goes to the next.
  bool wait(fiber::Msec deadline) {
    Waiter self{fiber::ticket(), last_, nullptr};
    (last_ != nullptr ? last_->next : first_) = &self;
    last_ = &self;
    ++waiting_;
    const fiber::Wake why = fiber::park(deadline);
    if (!self.granted) unlink(self);
    if (why == fiber::Wake::cancelled) {
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
  }

  int resources_;
  int waiting_ = 0;
  Waiter* first_ = nullptr;
  Waiter* last_ = nullptr;
};

// new(n): the semaphore. It has no destructor to run: what waits on it keeps it alive.
int make(lua_State* L) {
  new (lua_newuserdata(L, sizeof(Semaphore))) Semaphore(static_cast<int>(luaL_checkinteger(L, 1)));
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
  return static_cast<mp::lua::Semaphore*>(semaphore)->try_take() ? 1 : 0;
}

void mp_semaphore_post(void* semaphore, int n) {
  static_cast<mp::lua::Semaphore*>(semaphore)->post(n);
}

int mp_semaphore_count(void* semaphore) {
  return static_cast<mp::lua::Semaphore*>(semaphore)->count();
}
}
