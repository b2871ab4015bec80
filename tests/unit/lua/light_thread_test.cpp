#include "lua/sched/light_thread.hpp"

#include <catch2/catch.hpp>

#include "fiber/scheduler.hpp"
#include "lua/api.hpp"

using namespace mp;
using namespace mp::lua;

namespace {

int nap(lua_State* L) {
  fiber::sleep_for(static_cast<fiber::Msec>(luaL_checknumber(L, 1)));
  return 0;
}

int stop_run(lua_State* L) {
  self()->run->exit(Run::Exit::status, static_cast<int>(luaL_checkinteger(L, 1)));
}

int spawn(lua_State* L) {
  self()->run->spawn(L, lua_gettop(L) - 1);
  return 1;
}

int kill(lua_State* L) {
  LightThread* thread = self()->run->find(lua_tothread(L, 1));
  self()->run->kill(*thread);
  return 0;
}

std::unique_ptr<Vm> make_vm() {
  auto vm = Vm::create({});
  REQUIRE(vm);
  lua_State* L = (*vm)->state();
  lua_register(L, "nap", waits<nap>);
  lua_register(L, "stop_run", stop_run);
  lua_register(L, "spawn", waits<spawn>);
  lua_register(L, "kill", waits<kill>);
  luaL_dostring(L, "out = {}");
  return std::move(*vm);
}

std::string out(Vm& vm) {
  lua_State* L = vm.state();
  REQUIRE(luaL_dostring(L, "return table.concat(out, ' ')") == 0);
  std::string text = lua_tostring(L, -1);
  lua_pop(L, 1);
  return text;
}

// Runs `code` as the entry thread of a run, on a fiber, to the end of everything.
struct Outcome {
  Run::End end;
  int status;
  std::string error;
};
Outcome run(Vm& vm, const char* code) {
  Outcome outcome;
  fiber::Scheduler& scheduler = *fiber::here();
  fiber::spawn([&] {
    const RunScope r(vm, nullptr, kContent);
    REQUIRE(luaL_loadstring(r->entry(), code) == 0);
    outcome.end = r->go_quietly(0);
    if (outcome.end == Run::End::failed) outcome.error = r->error();
    outcome.status = r->exit_status();
  });
  scheduler.run(true);
  return outcome;
}

}  // namespace

TEST_CASE("lua: code that waits anywhere", "[lua]") {
  fiber::Scheduler scheduler;
  auto vm = make_vm();
  auto outcome = run(*vm, R"(
    local function put(x) out[#out + 1] = tostring(x) end
    put(pcall(function() nap(1); error("x", 0) end))
    string.gsub("abc", ".", function(c) nap(1); put(c) end)
    local t = {3, 1, 2}
    table.sort(t, function(a, b) nap(1); return a < b end)
    put(table.concat(t))
    local m = setmetatable({}, {__index = function(_, k) nap(1); return k end})
    put(m.meta)
    local co = coroutine.wrap(function() nap(1); coroutine.yield("co"); nap(1); return "end" end)
    put(co()); put(co())
    for i = 1, 200 do m[i] = nil end
    coroutine.yield()
    put("done")
  )");
  CHECK(outcome.end == Run::End::returned);
  CHECK(out(*vm) == "false a b c 123 meta co end done");
}

TEST_CASE("lua: an exit is not caught by pcall and ends all threads", "[lua]") {
  fiber::Scheduler scheduler;
  auto vm = make_vm();
  SECTION("of the entry thread") {
    auto outcome = run(*vm, R"(
      spawn(function() nap(10000); out[#out + 1] = "never" end)
      pcall(function() nap(1); coroutine.wrap(function() stop_run(403) end)(); end)
      out[#out + 1] = "never"
    )");
    CHECK(outcome.end == Run::End::exited);
    CHECK(outcome.status == 403);
  }
  SECTION("of a user thread") {
    auto outcome = run(*vm, R"(
      spawn(function() nap(1); pcall(stop_run, 401) out[#out + 1] = "never" end)
      spawn(function() nap(10000); out[#out + 1] = "never" end)
      pcall(nap, 10000)
      out[#out + 1] = "never"
    )");
    CHECK(outcome.end == Run::End::exited);
    CHECK(outcome.status == 401);
  }
  CHECK(out(*vm).empty());
  // The coroutines are usable again.
  CHECK(run(*vm, "nap(1) out[1] = 'next'").end == Run::End::returned);
  CHECK(out(*vm) == "next");
}

TEST_CASE("lua: user threads", "[lua]") {
  fiber::Scheduler scheduler;
  auto vm = make_vm();
  SECTION("run at once until they wait, then the parent goes on") {
    run(*vm, R"(
      local function put(x) out[#out + 1] = x end
      spawn(function(a) put(a); nap(1); put("b") end, "a")
      put("p")
    )");
    CHECK(out(*vm) == "a p b");
  }
  SECTION("killed ones do not go on") {
    run(*vm, R"(
      local t = spawn(function(a) pcall(nap, 10000); out[#out + 1] = "never" end)
      kill(t)
      out[#out + 1] = "killed"
    )");
    CHECK(out(*vm) == "killed");
  }
  SECTION("an error in the entry thread ends them") {
    auto outcome = run(*vm, R"(
      spawn(function(a) nap(10000) end)
      nap(1)
      error("bad")
    )");
    CHECK(outcome.end == Run::End::failed);
    CHECK(outcome.error.find("bad\nstack traceback:") != std::string::npos);
  }
}

TEST_CASE("lua: cancelling the fiber ends the run", "[lua]") {
  fiber::Scheduler scheduler;
  auto vm = make_vm();
  Run::End end = Run::End::returned;
  fiber::Fiber* f = fiber::spawn([&] {
    const RunScope r(*vm, nullptr, kContent);
    luaL_loadstring(r->entry(), "spawn(nap, 10000) pcall(nap, 10000) out[1] = 'never'");
    end = r->go(0);
  });
  fiber::spawn([&] {
    fiber::sleep_for(2);
    fiber::cancel(*f);
  });
  scheduler.run(true);
  CHECK(end == Run::End::cancelled);
  CHECK(out(*vm).empty());
}

TEST_CASE("lua: many runs with waits and collections in between", "[lua]") {
  fiber::Scheduler scheduler;
  auto vm = make_vm();
  int done = 0;
  for (int i = 0; i < 300; ++i) {
    fiber::spawn([&, i] {
      const RunScope r(*vm, nullptr, kContent);
      luaL_loadstring(r->entry(), R"(
        local n = ...
        local sum = 0
        for i = 1, 20 do
          string.gsub("xy", ".", function() nap(i % 3) sum = sum + 1 end)
          if i == 7 then collectgarbage() end
          if n % 10 == 0 and i == 12 then stop_run(1) end
        end
        for i = 1, 500 do sum = sum + 1 end
        return sum
      )");
      lua_pushinteger(r->entry(), i);
      const Run::End end = r->go(1);
      if (i % 10 == 0) {
        CHECK(end == Run::End::exited);
      } else {
        CHECK(end == Run::End::returned);
        CHECK(lua_tointeger(r->entry(), -1) == 540);
      }
      ++done;
    });
  }
  scheduler.run(true);
  CHECK(done == 300);
}
