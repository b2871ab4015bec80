#include "lua/sched/traceback.hpp"

#include <fmt/core.h>

#include "lua/sched/light_thread.hpp"

namespace mp::lua {

namespace {

constexpr int kMostCoroutines = 5;
constexpr int kMostLevels = 22;

void append_level(std::string& out, const lua_Debug& frame) {
  out += fmt::format("\n\t{}:", frame.short_src);
  if (frame.currentline > 0) out += fmt::format("{}:", frame.currentline);
  if (*frame.namewhat != '\0') {
    out += fmt::format(" in function '{}'", frame.name);
  } else if (*frame.what == 'm') {
    out += " in main chunk";
  } else if (*frame.what == 'C' || *frame.what == 't') {
    out += " ?";
  } else {
    out += fmt::format(" in function <{}:{}>", frame.short_src, frame.linedefined);
  }
}

}  // namespace

std::string traceback(lua_State* coroutine, const LightThread* parent) {
  std::string out = "stack traceback:";
  for (int number = 0; coroutine != nullptr && number < kMostCoroutines; ++number) {
    out += fmt::format("\ncoroutine {}:", number);
    lua_Debug frame;
    for (int level = 0; lua_getstack(coroutine, level, &frame) != 0; ++level) {
      if (level == kMostLevels) {
        out += "\n\t...";
        break;
      }
      lua_getinfo(coroutine, "Snl", &frame);
      append_level(out, frame);
    }
    if (parent == nullptr || parent->state == LightThread::State::dead) break;
    coroutine = parent->coroutine.L;
    parent = parent->parent;
  }
  return out;
}

}  // namespace mp::lua
