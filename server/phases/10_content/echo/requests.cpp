// Commands that make other requests: echo_location, echo_subrequest, echo_exec.
#include <unistd.h>

#include "http/method.hpp"
#include "http/subrequest.hpp"
#include "http/temp_file.hpp"
#include "http/uri.hpp"
#include "phases/10_content/echo/commands.hpp"

namespace mp::phases::echo {
namespace {

// A subrequest as it is asked for; in the arena of its parent.
struct Wanted {
  std::string_view location;
  std::optional<std::string_view> args;
  http::Method method = http::Method::get;
  std::string_view method_text = "GET";
  std::string_view body;
  const http::TempFile* body_file = nullptr;
};

// Cuts arguments off the location and refuses what no location may be. Given ones win.
bool split_location(Request& r, std::string_view who, std::string_view& location,
                    std::optional<std::string_view>& args) {
  if (location.empty()) return false;
  const auto parsed = http::parse_internal_uri(r.arena, location);
  if (!parsed) {
    log::warn(r.logger, "{} sees unsafe uri: \"{}\"", who, location);
    return false;
  }
  if (!args && !parsed->args.empty()) args = parsed->args;
  location = parsed->path;
  return true;
}

// A file small enough to be kept in memory becomes a body there, so that $request_body shows it.
bool read_body_file(Request& r, std::string_view prefix, std::string_view path, Wanted& wanted) {
  constexpr std::uint64_t kInMemory = 64 * 1024;
  if (!path.starts_with('/')) path = r.arena.concat(prefix, path);
  auto* file = r.arena.make<http::TempFile>();
  if (const Status opened = file->open(path, false); !opened) {
    log::error(r.logger, "{}", opened.error().text);
    return false;
  }
  wanted.body_file = file;
  if (file->size() > kInMemory) return true;
  char* text = r.arena.bytes(file->size());
  std::size_t done = 0;
  while (done < file->size()) {
    const ssize_t n = pread(file->fd(), text + done, file->size() - done, static_cast<off_t>(done));
    if (n <= 0) return true;
    done += static_cast<std::size_t>(n);
  }
  wanted.body = {text, done};
  wanted.body_file = nullptr;
  return true;
}

// METHOD LOCATION [-q ARGS] [-b BODY] [-f FILE]
bool read_wanted(Request& r, const Command& command, Wanted& wanted) {
  const auto args = command.args.evaluate(r);
  if (args.size() < 2) return false;
  wanted.method = http::parse_method(args[0]);
  wanted.method_text = args[0];
  wanted.location = args[1];
  std::string_view file;
  for (std::size_t i = 2; i < args.size(); i += 2) {
    if (args[i] != "-q" && args[i] != "-b" && args[i] != "-f") {
      log::error(r.logger, "unknown option for echo_subrequest*: {}", args[i]);
      return false;
    }
    if (i + 1 == args.size()) break;
    if (args[i] == "-q") wanted.args = args[i + 1];
    if (args[i] == "-b") wanted.body = args[i + 1];
    if (args[i] == "-f") file = args[i + 1];
  }
  if (wanted.body.empty() && !file.empty()) return read_body_file(r, command.prefix, file, wanted);
  return true;
}

std::optional<Step> make(Session& s, const Command& command, const Wanted& wanted) {
  Request& r = s.request;
  if (!send_head(r)) return command.beside ? std::nullopt : std::optional(Step::done());
  http::SubrequestOptions options;
  options.method = wanted.method;
  options.args = wanted.args.value_or(std::string_view());
  options.has_body = !wanted.body.empty();
  options.body = wanted.body;
  options.forward_body = !options.has_body && wanted.body_file == nullptr;
  options.prepare = [method = wanted.method_text, file = wanted.body_file](Request& child) {
    child.method_text = method;
    if (file == nullptr) return;
    child.body.borrowed_file = file;
    child.body.size = file->size();
    child.content_length_in = static_cast<std::int64_t>(file->size());
    child.in.set(http::HeaderId::content_length, child.arena.copy(std::to_string(file->size())));
  };
  if (command.beside) {
    s.any_beside = true;
    if (!http::include_beside(s.beside, r, wanted.location, options)) return failed();
    return std::nullopt;
  }
  if (s.any_beside) fiber::yield();  // those that were asked for before begin before it
  http::include(r, wanted.location, options);
  return std::nullopt;
}

std::optional<Step> read_own_body(Request& r) {
  if (const int status = http::read_body(r); status != 0) return Step::finish(status);
  return std::nullopt;
}

}  // namespace

std::optional<Step> run_location(Session& s, const Command& command) {
  Request& r = s.request;
  if (const auto step = read_own_body(r)) return step;
  const auto args = command.args.evaluate(r);
  if (args.empty()) return failed();
  Wanted wanted;
  wanted.location = args[0];
  if (args.size() > 1) wanted.args = args[1];
  if (!split_location(r, command.beside ? "echo_location_async" : "echo_location", wanted.location,
                      wanted.args)) {
    return failed();
  }
  return make(s, command, wanted);
}

std::optional<Step> run_subrequest(Session& s, const Command& command) {
  Request& r = s.request;
  if (const auto step = read_own_body(r)) return step;
  Wanted wanted;
  if (!read_wanted(r, command, wanted)) return failed();
  if (!split_location(r, command.beside ? "echo_subrequest_async" : "echo_subrequest", wanted.location,
                      wanted.args)) {
    return failed();
  }
  return make(s, command, wanted);
}

std::optional<Step> run_exec(Session& s, const Command& command) {
  Request& r = s.request;
  const auto values = command.args.evaluate(r);
  if (values.empty() || values[0].empty()) return Step::finish(400);
  std::string_view location = values[0];
  std::optional<std::string_view> args;
  if (values.size() > 1) args = values[1];
  if (!split_location(r, "echo_exec", location, args)) return failed();
  if (!location.starts_with('@')) return r.internal_redirect(location, args.value_or(std::string_view()));
  if (args && !args->empty()) {
    log::warn(r.logger, "querystring {} ignored when exec'ing named location {}", *args, location);
  }
  return r.named_location(location);
}

}  // namespace mp::phases::echo
