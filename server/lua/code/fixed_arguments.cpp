#include "lua/code/fixed_arguments.hpp"

#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>

#include <fcntl.h>
#include <unistd.h>

namespace mp::lua {

namespace {

// Of a dump by LuaJIT 2.1: "\x1bLJ", version, flags, name, then the prototypes with the main one last, each
// behind its size; a 0 ends them. A prototype begins with its own flags.
constexpr std::string_view kDumpStart = "\x1bLJ\x02";
constexpr std::size_t kDumpFlags = 4;
constexpr unsigned kStripped = 0x02;
constexpr unsigned kBigEndian = 0x01;
constexpr char kTakesDots = 0x02;

class Reader {
 public:
  Reader(std::string_view bytes, std::size_t at) : bytes_(bytes), at_(at) {}
  std::size_t at() const { return at_; }
  bool skip(std::size_t n) {
    if (n > bytes_.size() - at_) return false;
    at_ += n;
    return true;
  }
  std::optional<std::size_t> number() {  // ULEB128
    std::size_t value = 0;
    for (unsigned shift = 0; at_ < bytes_.size() && shift < 32; shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes_[at_++]);
      value |= static_cast<std::size_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return std::nullopt;
  }

 private:
  std::string_view bytes_;
  std::size_t at_;
};

// Where the flags of the main prototype are.
std::optional<std::size_t> main_flags(std::string_view dump) {
  if (!dump.starts_with(kDumpStart) || dump.size() <= kDumpFlags) return std::nullopt;
  if ((static_cast<unsigned char>(dump[kDumpFlags]) & (kStripped | kBigEndian)) != 0) return std::nullopt;
  Reader reader(dump, kDumpFlags + 1);
  const auto name = reader.number();
  if (!name || !reader.skip(*name)) return std::nullopt;
  std::optional<std::size_t> last;
  for (;;) {
    const auto size = reader.number();
    if (!size) return std::nullopt;
    if (*size == 0) return last;
    last = reader.at();
    if (!reader.skip(*size)) return std::nullopt;
  }
}

int append(lua_State*, const void* data, std::size_t size, void* out) {
  static_cast<std::string*>(out)->append(static_cast<const char*>(data), size);
  return 0;
}

// Replaces the function on top of the stack, when it can be.
void take_no_dots(lua_State* L, const char* name) {
  std::string dump;
  if (lua_dump(L, append, &dump) != 0) return;
  const auto flags = main_flags(dump);
  if (!flags || (dump[*flags] & kTakesDots) == 0) return;
  dump[*flags] = static_cast<char>(dump[*flags] & ~kTakesDots);
  if (luaL_loadbuffer(L, dump.data(), dump.size(), name) != 0) {
    lua_pop(L, 1);
    return;
  }
  lua_remove(L, -2);
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
  if (rc == 0 && code.find("...") == std::string_view::npos) take_no_dots(L, name);
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
