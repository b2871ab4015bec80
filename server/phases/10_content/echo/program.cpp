// Running a program of echo commands, and the commands that need no other request.
#include "base/clock.hpp"
#include "base/numbers.hpp"
#include "fiber/scheduler.hpp"
#include "http/content_type.hpp"
#include "http/ordered_body.hpp"
#include "phases/10_content/echo/commands.hpp"

namespace mp::phases::echo {
namespace {

constexpr unsigned kWritesATurn = 64;
constexpr std::size_t kRepeatBuffer = 16 * 1024;  // written at once by echo_duplicate

// "1000_000": underscores do not count.
std::optional<std::uint64_t> parse_count(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c == '_') continue;
    if (c < '0' || c > '9' || value > (~std::uint64_t{0} - 9) / 10) return std::nullopt;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return value;
}

std::vector<std::string_view> split_items(std::string_view text, std::string_view delimiter) {
  std::vector<std::string_view> items;
  while (!delimiter.empty()) {
    const std::size_t at = text.find(delimiter);
    if (at == std::string_view::npos) break;
    if (at > 0) items.push_back(text.substr(0, at));
    text.remove_prefix(at + delimiter.size());
  }
  if (!text.empty()) items.push_back(text);
  return items;
}

}  // namespace

bool send_head(Request& r) {
  if (r.head_sent) return !r.header_only && !r.aborted;
  r.out.status = static_cast<int>(r.conf<EchoConf>().status.get());
  http::set_content_type(r);
  r.clear_content_length();
  r.clear_accept_ranges();
  return r.send_head() && !r.header_only;
}

bool send(Request& r, std::string_view text) {
  return send_head(r) && r.write(text);
}

Step failed() {
  return Step::finish(http::kCloseConnection);
}

std::optional<Step> run_begin(Session& s, const Command&) {
  if (send_head(s.request)) s.request.write(http::Output{});
  return std::nullopt;
}

std::optional<Step> run_line(Session& s, const Command& command) {
  const std::string_view text = command.args.line(s.request);
  if (!text.empty()) send(s.request, text);
  return std::nullopt;
}

std::optional<Step> run_duplicate(Session& s, const Command& command) {
  Request& r = s.request;
  const auto args = command.args.evaluate(r);
  if (args.size() < 2) return Step::finish(500);
  auto count = parse_count(args[0]);
  if (!count) {
    log::error(r.logger, "invalid size specified: \"{}\"", args[0]);
    return Step::finish(500);
  }
  const std::string_view unit = args[1];
  if (!send_head(r) || *count == 0 || unit.empty()) return std::nullopt;
  const std::uint64_t at_once =
      std::min<std::uint64_t>(*count, std::max<std::size_t>(kRepeatBuffer / unit.size(), 1));
  char* const buffer = r.arena.bytes(at_once * unit.size());
  for (std::uint64_t i = 0; i < at_once; ++i) unit.copy(buffer + i * unit.size(), unit.size());
  for (unsigned writes = 1; *count > 0; ++writes) {
    const std::uint64_t now = std::min(*count, at_once);
    if (!r.write({buffer, now * unit.size()})) break;
    *count -= now;
    if (writes % kWritesATurn == 0) fiber::yield();  // a fast client never makes the write wait
  }
  return std::nullopt;
}

std::optional<Step> run_flush(Session& s, const Command&) {
  if (s.request.head_sent) s.request.write({}, false, true);
  return std::nullopt;
}

std::optional<Step> run_sleep(Session& s, const Command& command) {
  const auto args = command.args.evaluate(s.request);
  const auto msec = args.empty() ? std::nullopt : parse_fixed(args[0], 3);
  if (!msec) {
    log::error(s.request.logger, "invalid sleep duration \"{}\"",
               args.empty() ? std::string_view() : args[0]);
    return Step::finish(400);
  }
  fiber::sleep_for(static_cast<fiber::Msec>(*msec));
  return std::nullopt;
}

std::optional<Step> run_reset_timer(Session& s, const Command&) {
  fiber::here()->refresh_clock();
  s.request.ctx<EchoState>().timer_begin = clock().seconds() * 1000 + clock().msec();
  return std::nullopt;
}

std::optional<Step> run_read_body(Session& s, const Command&) {
  if (const int status = http::read_body(s.request); status != 0) return Step::finish(status);
  return std::nullopt;
}

std::optional<Step> run_body(Session& s, const Command&) {
  Request& r = s.request;
  if (r.body.state != http::RequestBody::State::read) return std::nullopt;
  const auto pieces = r.body.pieces();
  if (!pieces.empty() && send_head(r)) r.write(http::Output{pieces, false, false});
  return std::nullopt;
}

// Nothing to do: the family has had the directive for years without an effect.
std::optional<Step> run_abort_parent(Session&, const Command&) {
  return std::nullopt;
}

std::optional<Step> run_foreach(Session& s, const Command& command) {
  Request& r = s.request;
  auto& state = r.ctx<EchoState>();
  if (state.looping) {
    log::error(r.logger, "Nested echo_foreach not supported yet.");
    return Step::finish(500);
  }
  const auto args = command.args.evaluate(r);
  if (args.size() < 2) {
    log::error(r.logger,
               "echo_foreach should take at least two arguments. (if your delimiter starts with \"-\", "
               "preceding it with a \"--\".)");
    return Step::finish(500);
  }
  state.items = split_items(args[1], args[0]);
  state.item = 0;
  state.looping = true;
  state.loop_begin = s.next;
  if (!state.items.empty()) return std::nullopt;
  const auto& commands = s.program.commands;
  while (s.next < commands.size() && commands[s.next].kind != Kind::loop_end) ++s.next;
  return std::nullopt;
}

std::optional<Step> run_end(Session& s, const Command&) {
  auto& state = s.request.ctx<EchoState>();
  if (!state.looping) {
    log::error(s.request.logger, "Found a echo_end that has no corresponding echo_foreach before it.");
    return failed();
  }
  if (++state.item < state.items.size()) {
    s.next = state.loop_begin;
  } else {
    state.looping = false;
  }
  return std::nullopt;
}

Step run_program(Request& r) {
  const auto program = r.conf<EchoConf>().program;
  if (program == nullptr) return Step::decline();
  if (program->includes) http::expect_includes(r);
  Session session{.request = r, .program = *program};
  while (session.next < program->commands.size()) {
    const Command& command = program->commands[session.next++];
    if (const auto step = command.run(session, command)) return *step;
    if (r.aborted) break;
  }
  send_head(r);
  r.finish_body();
  if (!r.is_sub() && r.body.state == http::RequestBody::State::unread && !http::discard_body(r)) {
    r.keepalive = false;
  }
  session.beside.wait();
  return Step::done();
}

}  // namespace mp::phases::echo
