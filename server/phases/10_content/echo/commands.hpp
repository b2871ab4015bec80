// What the directives of the echo family compile to, and what a request remembers while it runs them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "conf/setting.hpp"
#include "fiber/fiber.hpp"
#include "filters/echo_args.hpp"
#include "http/request.hpp"

namespace mp::phases::echo {

using http::Request;
using http::Step;

struct Program;

// One run of a program. Lives on the stack of the request's fiber; its subrequests end before it does.
struct Session {
  Request& request;
  const Program& program;
  std::size_t next = 0;  // the command to run after this one
  fiber::Group beside;   // subrequests that nobody waits for in between
  bool any_beside = false;
};

struct Command;

// Runs one command. No step: the next command.
using Run = std::optional<Step> (*)(Session&, const Command&);

enum class Kind : std::uint8_t { plain, output, subrequest, loop_begin, loop_end };

struct Command {
  Run run = nullptr;
  Kind kind = Kind::plain;
  bool beside = false;  // of subrequests: the commands behind it do not wait
  filters::EchoArgs args;
  std::string_view prefix;  // of relative paths in the arguments
};

struct Program {
  std::vector<Command> commands;
  bool includes = false;  // there are subrequests
  bool begun = false;     // something is sent by the commands so far
};

struct EchoConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  std::shared_ptr<Program> program;
  conf::Setting<std::int64_t> status;

  Status merge(conf::Context&, const EchoConf& parent) {
    if (program == nullptr) program = parent.program;
    status.inherit(parent.status, 200);
    return {};
  }
};

// What the variables of the family say of a request.
struct EchoState {
  std::int64_t timer_begin = -1;  // Unix time in milliseconds; -1: when the request began
  std::uint64_t counter = 0;      // $echo_incr
  bool looping = false;
  std::size_t loop_begin = 0;           // the command behind echo_foreach_split
  std::vector<std::string_view> items;  // what the loop goes over
  std::size_t item = 0;
};

// Sends the head as this family does, once. False when no body can follow.
bool send_head(Request& request);
bool send(Request& request, std::string_view text);

// How a failure ends the request, whether or not its head has gone out.
Step failed();

std::optional<Step> run_begin(Session& session, const Command& command);
std::optional<Step> run_line(Session& session, const Command& command);
std::optional<Step> run_duplicate(Session& session, const Command& command);
std::optional<Step> run_flush(Session& session, const Command& command);
std::optional<Step> run_sleep(Session& session, const Command& command);
std::optional<Step> run_reset_timer(Session& session, const Command& command);
std::optional<Step> run_read_body(Session& session, const Command& command);
std::optional<Step> run_body(Session& session, const Command& command);
std::optional<Step> run_location(Session& session, const Command& command);
std::optional<Step> run_subrequest(Session& session, const Command& command);
std::optional<Step> run_exec(Session& session, const Command& command);
std::optional<Step> run_abort_parent(Session& session, const Command& command);
std::optional<Step> run_foreach(Session& session, const Command& command);
std::optional<Step> run_end(Session& session, const Command& command);

Step run_program(Request& request);

void define_variables(http::VariableTable& table);

}  // namespace mp::phases::echo
