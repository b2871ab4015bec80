// Stack traces of light threads, in the form scripts' authors know from error logs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <lua.hpp>

namespace mp::lua {

struct LightThread;

// Where an error came from that coroutine.wrap() functions have handed on: the stack of each coroutine it
// went through. Part of a Run.
class ErrorTrail {
 public:
  ErrorTrail() = default;
  ~ErrorTrail();
  ErrorTrail(const ErrorTrail&) = delete;
  ErrorTrail& operator=(const ErrorTrail&) = delete;

  // `coroutine` has failed with `message`, which goes on to its caller.
  void note(lua_State* coroutine, std::string_view message);
  // The stacks for an error with this message, the innermost first; none when it is another error.
  std::vector<std::string> of(std::string_view message) const;

 private:
  std::string message_;
  std::vector<std::string> stacks_;
};

// "stack traceback:\ncoroutine 0:\n\tFILE:LINE: in function 'f'...", beginning with the stacks of `inner`,
// followed by those of `parent` and its parents.
std::string traceback(lua_State* coroutine, const LightThread* parent, std::vector<std::string> inner);

}  // namespace mp::lua
