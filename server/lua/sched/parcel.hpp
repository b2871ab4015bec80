// Parcel: Lua values on their way from one VM to another, as bytes that belong to neither: a VM is only ever
// touched by the thread that runs it.
#pragma once

#include <string>

#include <lua.hpp>

namespace mp::lua {

class Parcel {
 public:
  // Appends a copy of the value at `index` (tables with all they hold, without metatables). What is wrong
  // with it, or null.
  const char* pack(lua_State* L, int index);

  // Pushes all values; returns how many. Raises Lua's memory error.
  int unpack(lua_State* L) const;

  bool empty() const { return bytes_.empty(); }

 private:
  const char* pack_value(lua_State* L, int index, bool inside, int depth);
  const char* pack_table(lua_State* L, int index, int depth);
  template <class T>
  void put(const T& value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }

  std::string bytes_;
};

}  // namespace mp::lua
