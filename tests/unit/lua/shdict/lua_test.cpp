// lua/moonphase/api/shdict.lua on a bare LuaJIT: argument checks, results, and that it is compiled.
#include <cstddef>
#include <cstring>
#include <regex>

#include <lua.hpp>

#include "base/clock.hpp"
#include "fixture.hpp"

using namespace mp;
using namespace mp::lua;

struct EmbeddedFile {
  const char* name;
  const char* text;
  std::size_t size;
};
extern "C" const EmbeddedFile mp_embedded_lua[];

// The linker takes C functions that only Lua names from a library when someone refers to one of them.
extern "C" int mp_shdict_count(const void* set);

namespace {

class Vm {
 public:
  explicit Vm(ShdictSet& set) : L_(luaL_newstate()) {
    luaL_openlibs(L_);
    const EmbeddedFile* file = mp_embedded_lua;
    while (file->name != nullptr && std::strcmp(file->name, "moonphase.api.shdict") != 0) ++file;
    REQUIRE(file->name != nullptr);
    REQUIRE(mp_shdict_count(&set) > 0);
    REQUIRE(luaL_loadbuffer(L_, file->text, file->size, "=shdict.lua") == 0);
    call(0);
    lua_pushlightuserdata(L_, &set);
    call(1);
    lua_setglobal(L_, "shared");
    run("dogs = shared.dogs");
  }
  Vm(const Vm&) = delete;
  Vm& operator=(const Vm&) = delete;
  ~Vm() { lua_close(L_); }

  void run(const char* code) {
    if (luaL_loadstring(L_, code) != 0) FAIL(lua_tostring(L_, -1));
    call(0);
    lua_settop(L_, 0);
  }

  // All results of an expression list, as print() would show them, or the error.
  std::string eval(const std::string& expression) {
    const std::string code =
        "local function show(...) local out = {} for i = 1, select('#', ...) do "
        "out[i] = tostring((select(i, ...))) end return table.concat(out, ' ') end return show(" +
        expression + ")";
    if (luaL_loadstring(L_, code.c_str()) != 0) FAIL(lua_tostring(L_, -1));
    lua_pcall(L_, 0, 1, 0);
    std::string result = lua_tostring(L_, -1);
    lua_settop(L_, 0);
    // Without the position that error() puts in front.
    static const std::regex position(R"(^(\[string "[^\n]*\]|shdict\.lua):\d+: )");
    return std::regex_replace(result, position, "");
  }

 private:
  void call(int arguments) {
    if (lua_pcall(L_, arguments, 1, 0) != 0) FAIL(lua_tostring(L_, -1));
  }
  lua_State* L_;
};

struct Fixture {
  Fixture() {
    REQUIRE(set.add(zones, "dogs", 1 << 20));
    REQUIRE(set.add(zones, "small", 50 << 10));
    REQUIRE(zones.attach(nullptr));
  }
  ZoneTable zones;
  ShdictSet set;
};

}  // namespace

TEST_CASE("ngx.shared: results", "[lua][shdict]") {
  Fixture f;
  Vm vm(f.set);
  CHECK(vm.eval("type(dogs), shared.cats") == "table nil");
  CHECK(vm.eval("dogs:get('foo')") == "nil");
  CHECK(vm.eval("dogs:set('foo', 32)") == "true nil false");
  CHECK(vm.eval("dogs:get('foo')") == "32");
  CHECK(vm.eval("dogs:set('foo', 'bar', 0, 72)") == "true nil false");
  CHECK(vm.eval("dogs:get('foo')") == "bar 72");
  CHECK(vm.eval("dogs:get_stale('foo')") == "bar 72 false");
  CHECK(vm.eval("dogs:set(56, false)") == "true nil false");
  CHECK(vm.eval("dogs:get('56')") == "false");
  CHECK(vm.eval("dogs:add('foo', 1)") == "false exists false");
  CHECK(vm.eval("dogs:replace('nope', 1)") == "false not found false");
  CHECK(vm.eval("dogs:add('x', nil)") == "false attempt to add or replace nil values false");
  CHECK(vm.eval("dogs:safe_set('big', ('x'):rep(2000000))") == "false no memory false");
  CHECK(vm.eval("shared.small:set('foo', ('x'):rep(100000))") == "false no memory false");
  CHECK(vm.eval("dogs:delete('foo')") == "true nil false");
  CHECK(vm.eval("dogs:get('foo')") == "nil");
  CHECK(vm.eval("dogs:set('long', ('ab'):rep(50000))") == "true nil false");
  CHECK(vm.eval("#dogs:get('long')") == "100000");
  CHECK(vm.eval("dogs:set('mid', ('ab'):rep(5000)), #dogs:get('mid'), #dogs:get('mid')") ==
        "true 10000 10000");

  CHECK(vm.eval("dogs:incr('n', 1)") == "nil not found");
  CHECK(vm.eval("dogs:incr('n', 1, 10)") == "11 nil false");
  CHECK(vm.eval("dogs:incr('n', '2')") == "13");
  CHECK(vm.eval("dogs:incr('long', 2)") == "nil not a number");

  CHECK(vm.eval("dogs:ttl('n')") == "0");
  CHECK(vm.eval("dogs:ttl('nope')") == "nil not found");
  CHECK(vm.eval("dogs:expire('n', 0.5), dogs:ttl('n')") == "true 0.5");
  CHECK(vm.eval("dogs:expire('nope', 1)") == "nil not found");
  CHECK(vm.eval("dogs:capacity(), shared.small:capacity()") == "1048576 51200");
  CHECK(vm.eval("shared.small:free_space()") == "36864");
}

TEST_CASE("ngx.shared: lists, flushing and keys", "[lua][shdict]") {
  Fixture f;
  Vm vm(f.set);
  CHECK(vm.eval("dogs:lpush('l', 'a'), dogs:rpush('l', 2), dogs:llen('l')") == "1 2 2");
  CHECK(vm.eval("dogs:get('l')") == "nil value is a list");
  CHECK(vm.eval("dogs:lpop('l'), dogs:rpop('l'), dogs:rpop('l')") == "a 2 nil");
  CHECK(vm.eval("dogs:rpush('l', ('x'):rep(9000)), #dogs:lpop('l'), dogs:llen('l')") == "1 9000 0");
  CHECK(vm.eval("dogs:set('s', 1), dogs:lpush('s', 1)") == "true nil value not a list");
  CHECK(vm.eval("dogs:lpush('l', true)") == "nil bad value type");
  CHECK(vm.eval("dogs:lpush('l')") == "expecting 3 arguments, but only seen 2");
  CHECK(vm.eval("dogs:lpop()") == "expecting 2 arguments, but only seen 1");
  CHECK(vm.eval("dogs:llen(nil)") == "nil nil key");
  CHECK(vm.eval("dogs.llen(1, 'x')") == "bad \"zone\" argument");

  vm.run("dogs:flush_all() dogs:flush_expired() for i = 1, 2000 do dogs:set('k' .. i, i, i % 2) end");
  CHECK(vm.eval("#dogs:get_keys(), #dogs:get_keys(0), #dogs:get_keys(3)") == "1024 2000 3");
  CHECK(vm.eval("dogs:get_keys(1)[1]") == "k1");
  CHECK(vm.eval("dogs:get_keys('x')") == "bad argument #1 to 'get_keys' (number expected, got string)");
  CHECK(vm.eval("dogs:flush_expired()") == "0");
  mp::clock().set(mp::clock().seconds(), 0, mp::clock().monotonic_ms() + 1000);
  CHECK(vm.eval("dogs:flush_expired(42), dogs:flush_expired()") == "42 958");
  CHECK(vm.eval("dogs:flush_all()").empty());
  CHECK(vm.eval("#dogs:get_keys(0)") == "0");
  mp::clock().update();
}

TEST_CASE("ngx.shared: bad arguments", "[lua][shdict]") {
  Fixture f;
  Vm vm(f.set);
  for (const char* method : {"get", "get_stale", "ttl", "incr"}) {
    const std::string m = method;
    CHECK(vm.eval("dogs." + m + "(dogs, nil, 1)") == "nil nil key");
    CHECK(vm.eval("dogs." + m + "(dogs, '', 1)") == "nil empty key");
    CHECK(vm.eval("dogs." + m + "(dogs, ('a'):rep(65536), 1)") == "nil key too long");
    CHECK(vm.eval("dogs." + m + "(nil, 'k', 1)") == "bad \"zone\" argument");
    CHECK(vm.eval("dogs." + m + "({1}, 'k', 1)") == "bad \"zone\" argument");
  }
  CHECK(vm.eval("dogs:set(nil, 1)") == "nil nil key");
  CHECK(vm.eval("dogs:set('k', dogs)") == "nil bad value type");
  CHECK(vm.eval("select(2, pcall(dogs.set, dogs, 'k', 1, -1))") == "bad \"exptime\" argument");
  CHECK(vm.eval("select(2, pcall(dogs.expire, dogs, 'k'))") == "bad \"exptime\" argument");
  CHECK(vm.eval("select(2, pcall(dogs.incr, dogs, 'k', 'x'))") == "cannot convert 'nil' to 'double'");
  CHECK(vm.eval("select(2, pcall(dogs.incr, dogs, 'k', 1, 'x'))") ==
        "bad init arg: number expected, got string");
  CHECK(vm.eval("select(2, pcall(dogs.incr, dogs, 'k', 1, 0, 'x'))") ==
        "bad init_ttl arg: number expected, got string");
  CHECK(vm.eval("select(2, pcall(dogs.incr, dogs, 'k', 1, 0, -1))") == "bad \"init_ttl\" argument");
  CHECK(vm.eval("select(2, pcall(dogs.incr, dogs, 'k', 1, nil, 1))") ==
        "must provide \"init\" when providing \"init_ttl\"");
  CHECK(vm.eval("dogs:incr('k', 1, '4', '0.5')") == "5 nil false");
  CHECK(vm.eval("dogs:ttl('k')") == "0.5");
}

TEST_CASE("ngx.shared: calls are compiled", "[lua][shdict]") {
  Fixture f;
  Vm vm(f.set);
  // Some aborts are ordinary (the compiler tries again elsewhere); what it can never compile is not.
  vm.run(R"(
    local reasons = require("jit.vmdef").traceerr
    jit.attach(function(what, trace, func, pc, code, reason)
        if what == "abort" and reasons[code]:find("NYI") then hopeless = reasons[code]
        elseif what == "stop" then completed = completed + 1 end
    end, "trace"))");
  for (const char* loop : {
           "for i = 1, 500 do dogs:set('foo', 'bar', 0, 72) end",
           "for i = 1, 500 do dogs:get('foo') end",
           "for i = 1, 500 do dogs:get_stale('foo') end",
           "for i = 1, 500 do dogs:incr('n', 1, 0) end",
           "for i = 1, 500 do dogs:add('foo' .. i, true) end",
           "for i = 1, 500 do dogs:ttl('foo') end",
           "for i = 1, 500 do dogs:expire('foo', 10) end",
           "for i = 1, 500 do dogs:rpush('l', i) end",
           "for i = 1, 500 do dogs:llen('l') end",
           "for i = 1, 500 do dogs:lpop('l') end",
           "for i = 1, 500 do dogs:flush_all() end",
           "for i = 1, 500 do dogs:capacity() dogs:free_space() end",
       }) {
    CAPTURE(loop);
    vm.run("hopeless = nil completed = 0 jit.flush()");
    vm.run(loop);
    CHECK(vm.eval("hopeless, completed > 0") == "nil true");
  }
}
