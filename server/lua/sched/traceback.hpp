// Stack traces of light threads, in the form scripts' authors know from error logs.
#pragma once

#include <string>

#include <lua.hpp>

namespace mp::lua {

struct LightThread;

// "stack traceback:\ncoroutine 0:\n\tFILE:LINE: in function 'f'...", followed by the stacks of `parent` and
// its parents.
std::string traceback(lua_State* coroutine, const LightThread* parent = nullptr);

}  // namespace mp::lua
