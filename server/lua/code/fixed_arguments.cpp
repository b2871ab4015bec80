#include "lua/code/fixed_arguments.hpp"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

#include <fcntl.h>
#include <unistd.h>

namespace mp::lua {

namespace {

// How LuaJIT 2.1 with 64-bit references (GC64) keeps a Lua function: a pointer to its code, which its
// prototype lies in front of. The first instruction says what kind of function it is, as a flag of the
// prototype does. (A dump without the flag, loaded again, would do without this knowledge. But dumps forget
// the keys of table constructors whose values are not constant: such tables would then grow key by key.)
constexpr std::size_t kCode = 32;  // of the function
constexpr std::size_t kPrototypeSize = 104;
constexpr std::size_t kType = 9;  // of the prototype
constexpr std::size_t kFrame = 11;
constexpr std::size_t kFlags = 61;
constexpr unsigned char kIsPrototype = 7;
constexpr unsigned char kTakesDots = 0x02;

class Prototype {
 public:
  // Of the Lua function on top of the stack.
  explicit Prototype(lua_State* L) {
    const auto* function = static_cast<const unsigned char*>(lua_topointer(L, -1));
    std::memcpy(&code_, function + kCode, sizeof code_);
  }

  // It looks as expected.
  bool is(bool with_dots) const {
    return code_ != nullptr && at(kType) == kIsPrototype && at(kFrame) == code_[1] &&
           ((at(kFlags) & kTakesDots) != 0) == with_dots;
  }
  unsigned char kind() const { return code_[0]; }
  void take_no_dots(unsigned char kind) {
    at(kFlags) = static_cast<unsigned char>(at(kFlags) & ~kTakesDots);
    code_[0] = kind;
  }

 private:
  unsigned char& at(std::size_t offset) const { return *(code_ - kPrototypeSize + offset); }
  unsigned char* code_ = nullptr;
};

// The two kinds of functions, by example; nothing where LuaJIT is built in another way.
struct Kinds {
  unsigned char with_dots = 0;
  unsigned char without = 0;
};
bool known_build(lua_State* L) {
  constexpr const char* kAsk = "local ok, ffi = pcall(require, 'ffi') return ok and ffi.abi('gc64')";
  return std::string_view(LUAJIT_VERSION).starts_with("LuaJIT 2.1.") && luaL_loadstring(L, kAsk) == 0 &&
         lua_pcall(L, 0, 1, 0) == 0 && lua_toboolean(L, -1) != 0;
}

std::optional<Kinds> learn_kinds(lua_State* L) {
  const int top = lua_gettop(L);
  std::optional<Kinds> kinds;
  if (known_build(L) && luaL_loadstring(L, "return function() end") == 0) {
    const Prototype outer(L);
    if (outer.is(true) && lua_pcall(L, 0, 1, 0) == 0) {
      const Prototype inner(L);
      if (inner.is(false) && inner.kind() != outer.kind()) kinds = Kinds{outer.kind(), inner.kind()};
    }
  }
  lua_settop(L, top);
  return kinds;
}

// Changes the function on top of the stack, when it can be.
void take_no_dots(lua_State* L) {
  static const std::optional<Kinds> kinds = learn_kinds(L);
  if (!kinds) return;
  Prototype main(L);
  if (main.is(true) && main.kind() == kinds->with_dots) main.take_no_dots(kinds->without);
}

// The whole file; false with errno set.
bool read_file(const char* path, std::string& out) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  char buffer[16384];
  ssize_t n;
  while ((n = read(fd, buffer, sizeof buffer)) > 0) out.append(buffer, static_cast<std::size_t>(n));
  const int error = errno;
  close(fd);
  errno = error;
  return n == 0;
}

}  // namespace

int load_text(lua_State* L, std::string_view code, const char* name) {
  const int rc = luaL_loadbuffer(L, code.data(), code.size(), name);
  // Where the dots are only part of a string or a comment, nothing but speed is lost.
  if (rc == 0 && code.find("...") == std::string_view::npos) take_no_dots(L);
  return rc;
}

int load_file(lua_State* L, const char* path) {
  std::string code;
  // Bytecode, a first line that is for a shell, and what cannot be read are for LuaJIT's own loader.
  if (!read_file(path, code) || code.starts_with('\x1b') || code.starts_with('#')) {
    errno = 0;
    return luaL_loadfile(L, path);
  }
  return load_text(L, code, (std::string("@") + path).c_str());
}

}  // namespace mp::lua
