#include "lua/sched/parcel.hpp"

#include <cstring>

namespace mp::lua {

namespace {

constexpr int kMostDepth = 100;

enum Tag : char { kNil, kFalse, kTrue, kNumber, kString, kPointer, kTable, kEndOfTable };

// Reads what pack() has written.
class Reader {
 public:
  Reader(lua_State* L, const std::string& bytes) : L_(L), at_(bytes.data()), end_(at_ + bytes.size()) {}

  bool at_end() const { return at_ == end_; }
  // Pushes the next value; false, without pushing, at the end of a table.
  bool push_next();

 private:
  template <class T>
  T take() {
    T value;
    std::memcpy(&value, at_, sizeof value);
    at_ += sizeof value;
    return value;
  }

  lua_State* L_;
  const char* at_;
  const char* end_;
};

bool Reader::push_next() {
  luaL_checkstack(L_, 4, "too many values");
  switch (take<Tag>()) {
    case kNil:
      lua_pushnil(L_);
      break;
    case kFalse:
      lua_pushboolean(L_, 0);
      break;
    case kTrue:
      lua_pushboolean(L_, 1);
      break;
    case kNumber:
      lua_pushnumber(L_, take<lua_Number>());
      break;
    case kPointer:
      lua_pushlightuserdata(L_, take<void*>());
      break;
    case kString: {
      const auto size = take<std::size_t>();
      lua_pushlstring(L_, at_, size);
      at_ += size;
      break;
    }
    case kTable:
      lua_newtable(L_);
      while (push_next()) {
        push_next();
        lua_rawset(L_, -3);
      }
      break;
    case kEndOfTable:
      return false;
  }
  return true;
}

}  // namespace

const char* Parcel::pack(lua_State* L, int index) {
  return pack_value(L, index, false, 1);
}

const char* Parcel::pack_value(lua_State* L, int index, bool inside, int depth) {
  switch (lua_type(L, index)) {
    case LUA_TNIL:
      if (inside) return "unsupported Lua type: LUA_TNIL";
      put(kNil);
      return nullptr;
    case LUA_TBOOLEAN:
      put(lua_toboolean(L, index) != 0 ? kTrue : kFalse);
      return nullptr;
    case LUA_TNUMBER:
      put(kNumber);
      put(lua_tonumber(L, index));
      return nullptr;
    case LUA_TLIGHTUSERDATA:
      put(kPointer);
      put(lua_touserdata(L, index));
      return nullptr;
    case LUA_TSTRING: {
      std::size_t size = 0;
      const char* text = lua_tolstring(L, index, &size);
      put(kString);
      put(size);
      bytes_.append(text, size);
      return nullptr;
    }
    case LUA_TTABLE:
      return pack_table(L, index, depth);
    case LUA_TFUNCTION:
      return "unsupported Lua type: LUA_TFUNCTION";
    case LUA_TUSERDATA:
      return "unsupported Lua type: LUA_TUSERDATA";
    case LUA_TTHREAD:
      return "unsupported Lua type: LUA_TTHREAD";
    default:
      return "unsupported Lua type";
  }
}

const char* Parcel::pack_table(lua_State* L, int index, int depth) {
  if (depth >= kMostDepth) {
    return "suspicious circular references, table depth exceed max depth: 100";
  }
  if (lua_checkstack(L, 4) == 0) return "not enough memory";
  if (index < 0) index += lua_gettop(L) + 1;
  put(kTable);
  lua_pushnil(L);
  while (lua_next(L, index) != 0) {
    const char* wrong = pack_value(L, -2, true, depth + 1);
    if (wrong == nullptr) wrong = pack_value(L, -1, true, depth + 1);
    if (wrong != nullptr) {
      lua_pop(L, 2);
      return wrong;
    }
    lua_pop(L, 1);
  }
  put(kEndOfTable);
  return nullptr;
}

int Parcel::unpack(lua_State* L) const {
  Reader reader(L, bytes_);
  int count = 0;
  for (; !reader.at_end(); ++count) reader.push_next();
  return count;
}

}  // namespace mp::lua
