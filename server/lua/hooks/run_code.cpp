// Loading and running the code of a hook, and its messages when that fails.
#include "http/request.hpp"
#include "http/template.hpp"
#include "lua/code/chunk.hpp"
#include "lua/conf.hpp"
#include "lua/hooks/hooks.hpp"
#include "lua/sched/light_thread.hpp"

namespace mp::lua {

namespace {

const log::Logger& logger_of(const Run& run) {
  return run.request != nullptr ? run.request->logger : run.vm.logger();
}

// The absolute path of a chunk's file.
std::string file_of(const Run& run, const Chunk& chunk) {
  if (!chunk.file.empty() || run.request == nullptr) return std::string(chunk.file);
  const std::string_view path = chunk.path->evaluate(*run.request);
  if (path.starts_with('/')) return std::string(path);
  return std::string(run.vm.prefix()).append(path);
}

// The code could not be loaded: says why, and with which status to answer.
[[gnu::cold]] bool refuse(Run& run, const Chunk& chunk, std::string_view path, LoadResult result,
                          int& status) {
  const std::string error = Vm::pop_error(run.entry());
  if (chunk.is_file()) {
    log::error(logger_of(run), "failed to load external Lua file \"{}\": {}", path, error);
  } else {
    log::error(logger_of(run), "failed to load inlined Lua code: {}", error);
  }
  switch (result) {
    case LoadResult::no_file:
      status = 404;
      break;
    case LoadResult::unreadable:
      status = 503;
      break;
    default:
      status = 500;
      break;
  }
  return false;
}

}  // namespace

bool load_code(Run& run, const Chunk& chunk, int& status) {
  const std::string path = chunk.is_file() ? file_of(run, chunk) : std::string();
  const LoadResult result = run.vm.push_chunk(run.entry(), chunk, path);
  if (result != LoadResult::loaded) return refuse(run, chunk, path, result, status);
  if (run.vm.lasting && chunk.is_fixed()) {
    lua_pushvalue(run.entry(), -1);
    chunk.function = luaL_ref(run.entry(), LUA_REGISTRYINDEX);
  }
  return true;
}

bool run_to_end(Run& run, const Chunk& chunk, const char* what) {
  int status = 0;
  if (!push_code(run, chunk, status)) return false;
  switch (run.go_quietly(0)) {
    case Run::End::failed:
      log::error(logger_of(run), "failed to run {}: {}", what, run.error());
      return false;
    case Run::End::cancelled:
      throw fiber::Cancelled{};
    case Run::End::returned:
    case Run::End::exited:
      break;
  }
  return true;
}

}  // namespace mp::lua
