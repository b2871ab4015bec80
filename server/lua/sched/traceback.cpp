#include "lua/sched/traceback.hpp"

#include <fmt/core.h>

#include "lua/sched/light_thread.hpp"

namespace mp::lua {

namespace {

constexpr std::size_t kMostCoroutines = 5;
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

std::string stack_of(lua_State* coroutine) {
  std::string out;
  lua_Debug frame;
  for (int level = 0; lua_getstack(coroutine, level, &frame) != 0; ++level) {
    if (level == kMostLevels) return out + "\n\t...";
    lua_getinfo(coroutine, "Snl", &frame);
    append_level(out, frame);
  }
  return out;
}

}  // namespace

ErrorTrail::~ErrorTrail() = default;

void ErrorTrail::note(lua_State* coroutine, std::string_view message) {
  if (message != message_) stacks_.clear();
  message_ = message;
  if (stacks_.size() < kMostCoroutines) stacks_.push_back(stack_of(coroutine));
}

std::vector<std::string> ErrorTrail::of(std::string_view message) const {
  return message == message_ ? stacks_ : std::vector<std::string>();
}

std::string traceback(lua_State* coroutine, const LightThread* parent, std::vector<std::string> stacks) {
  stacks.push_back(stack_of(coroutine));
  for (; parent != nullptr && parent->state != LightThread::State::dead; parent = parent->parent) {
    if (stacks.size() == kMostCoroutines) break;
    stacks.push_back(stack_of(parent->coroutine.L));
  }
  std::string out = "stack traceback:";
  for (std::size_t i = 0; i < stacks.size() && i < kMostCoroutines; ++i) {
    out += fmt::format("\ncoroutine {}:{}", i, stacks[i]);
  }
  return out;
}

}  // namespace mp::lua
