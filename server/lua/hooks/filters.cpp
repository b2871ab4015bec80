// header_filter_by_lua, body_filter_by_lua, log_by_lua and set_by_lua.
#include <algorithm>
#include <utility>

#include <malloc.h>

#include "base/clock.hpp"
#include "http/file_io.hpp"
#include "http/request.hpp"
#include "lua/api.hpp"
#include "lua/conf.hpp"
#include "lua/hooks/filter_args.hpp"
#include "lua/hooks/hooks.hpp"
#include "lua/output.hpp"
#include "lua/request_data.hpp"

namespace mp::lua {

using http::Output;
using http::Piece;
using http::Request;

namespace {

// body_filter_by_lua: shows each part of the body to the script, as ngx.arg.
class LuaBodyFilter final : public http::BodyFilter {
 public:
  explicit LuaBodyFilter(const Chunk& chunk) : chunk_(chunk) {}

  bool write(Request& r, const Output& output) override {
    const bool files =
        std::any_of(output.pieces.begin(), output.pieces.end(), [](const Piece& p) { return p.in_file(); });
    if (!files) return filter(r, output);
    return http::in_memory(r, output, [&](const Output& part) { return filter(r, part); });
  }

 private:
  bool filter(Request& r, const Output& output) {
    if (seen_last_) return true;
    RequestData* data = request_data(r);
    if (data == nullptr) return false;
    BodyFilterArgs args;
    args.last = output.last;
    read(output, args);
    {
      const RunScope run(*data->vm, &r, kBodyFilter);
      BodyFilterArgs* const outer = std::exchange(data->filter_args, &args);
      const bool ok = run_to_end(*run, chunk_, "body_filter_by_lua*");
      data->filter_args = outer;
      if (!ok || refused(*run)) {
        // What is missing in a subrequest is missing in the client's response, which must not look whole.
        r.main->aborted = true;
        return false;
      }
    }
    seen_last_ = args.last;
    if (args.body.empty() && !args.last && !output.flush) return true;
    const Piece piece = Piece::memory(args.body);
    return next(r, {.pieces = args.body.empty() ? std::span<const Piece>() : std::span(&piece, 1),
                    .last = args.last,
                    .flush = output.flush});
  }

  // A number as the result of the script refuses the response.
  static bool refused(Run& run) {
    lua_State* L = run.entry();
    if (lua_gettop(L) == 0 || !lua_isnumber(L, 1)) return false;
    const auto rc = lua_tointeger(L, 1);
    return rc == kError || rc >= 300;
  }

  static void read(const Output& output, BodyFilterArgs& args) {
    if (output.pieces.size() == 1) {
      args.body = output.pieces[0].bytes;
      return;
    }
    for (const Piece& piece : output.pieces) args.text.append(piece.bytes);
    args.body = args.text;
  }

  const Chunk& chunk_;
  bool seen_last_ = false;
};

void run_header_filter(Request& r, const Chunk& chunk) {
  RequestData* data = request_data(r);
  if (data == nullptr) {
    r.aborted = true;
    return;
  }
  const RunScope run(*data->vm, &r, kHeaderFilter);
  data->filtering_head = true;
  const bool ok = run_to_end(*run, chunk, "header_filter_by_lua*");
  data->filtering_head = false;
  if (!ok) {
    r.aborted = true;
    return;
  }
  if (run->exit_kind() != Run::Exit::status || data->filter_exit == run->exit_status()) return;
  if (run->exit_status() == kError) {
    r.aborted = true;
    return;
  }
  // Another response takes the place of this one, and of its fields.
  data->filter_exit = run->exit_status();
  r.out.clear();
  r.replace_with_status = run->exit_status();
}

}  // namespace

void lua_header_filter(Request& r) {
  const auto& settings = r.conf<LuaLocation>();
  if (settings.header_filter != nullptr) run_header_filter(r, *settings.header_filter);
  if (r.replace_with_status != 0) return;
  if (settings.body_filter != nullptr && !r.header_only)
    r.add_body_filter<LuaBodyFilter>(*settings.body_filter);
}

bool wants_header_filter(const conf::Sets& sets) {
  const auto& settings = sets.get<LuaLocation>();
  return settings.header_filter != nullptr || settings.body_filter != nullptr;
}

namespace {

// What scripts have freed goes back to the system now and then. Each time costs a system call for every free
// stretch of the heap, and a page fault when it is used again: without lua_malloc_trim, a busy worker waits.
[[gnu::noinline]] void trim_memory(const Request& r, LuaMain& main) {
  constexpr std::uint64_t kPauseMsec = 10000;
  const std::uint64_t now = clock().monotonic_ms();
  if (!main.malloc_trim.is_set() && now < main.trimmed_at + kPauseMsec) return;
  main.requests_since_trim = 0;
  main.trimmed_at = now;
  const int given_back = malloc_trim(1);
  log::debug(r.logger, "malloc_trim(1) returned {}", given_back);
}

[[gnu::noinline]] void run_log(Request& r, const Chunk& chunk) {
  RequestData* data = request_data(r);
  if (data == nullptr) return;
  const RunScope run(*data->vm, &r, kLog);
  run_to_end(*run, chunk, "log_by_lua*");
}

}  // namespace

void lua_log(Request& r) {
  auto& main = r.conf<LuaMain>();
  if (main.vm != nullptr && main.malloc_trim > 0 && ++main.requests_since_trim >= main.malloc_trim) {
    trim_memory(r, main);
  }
  const auto& settings = r.conf<LuaLocation>();
  if (settings.log != nullptr) run_log(r, *settings.log);
}

bool lua_set(Request& r, const Chunk& chunk, std::span<const std::string_view> arguments,
             std::string_view& result) {
  RequestData* data = request_data(r);
  if (data == nullptr) return false;
  const RunScope run(*data->vm, &r, kSet);
  int status = 0;
  if (!push_code(*run, chunk, status)) return false;
  lua_State* L = run->entry();
  for (std::string_view argument : arguments) push(L, argument);
  const auto outer = std::exchange(data->set_args, arguments);
  const Run::End end = run->go_quietly(static_cast<int>(arguments.size()));
  data->set_args = outer;
  if (end == Run::End::cancelled) throw fiber::Cancelled{};
  if (end == Run::End::failed) {
    log::error(r.logger, "failed to run set_by_lua*: {}", run->error());
    return false;
  }
  result = {};
  std::size_t size = 0;
  if (const char* text = lua_gettop(L) > 0 ? lua_tolstring(L, 1, &size) : nullptr)
    result = r.arena.copy({text, size});
  return true;
}

}  // namespace mp::lua
