// The directives outside http {}: processes, files, limits, and the events {} block.

#include <algorithm>
#include <cstring>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <grp.h>
#include <netdb.h>
#include <pwd.h>
#include <unistd.h>

#include "app/modules.hpp"
#include "base/numbers.hpp"
#include "conf/configuration.hpp"
#include "conf/process_conf.hpp"
#include "conf/setters.hpp"

namespace mp::app {
namespace {

using conf::Arg;
using conf::between;
using conf::Block;
using conf::Context;
using conf::DebugConnection;
using conf::Directive;
using conf::EventsConf;
using conf::exactly;
using conf::Level;
using conf::Node;
using conf::ProcessConf;
using conf::ProcessWide;
using conf::Scope;
using conf::set;

std::string errno_suffix(int errnum) {
  return errnum == 0 ? std::string() : system_error(errnum, "").text;
}

Status set_worker_processes(Context& ctx, const Node& node) {
  auto& setting = ctx.conf<ProcessConf>().worker_processes;
  if (setting.is_set()) return conf::duplicate();
  if (node.arg(0) == "auto") {
    setting.set(static_cast<int>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN))));
    return {};
  }
  const auto value = parse_natural<std::int64_t>(node.arg(0));
  constexpr std::int64_t kMaxProcesses = 1024;
  if (!value || *value > kMaxProcesses) return fail("invalid value");
  setting.set(static_cast<int>(*value));
  return {};
}

Status set_user(Context& ctx, const Node& node) {
  auto& process = ctx.conf<ProcessConf>();
  if (process.user != conf::kNoUser) return conf::duplicate();
  if (geteuid() != 0) {
    ctx.warn(node,
             "the \"user\" directive makes sense only if the master process runs with super-user privileges, "
             "ignored");
    return {};
  }
  const std::string name(node.arg(0));
  const std::string group(node.args.size() > 1 ? node.arg(1) : node.arg(0));
  errno = 0;
  const passwd* pw = getpwnam(name.c_str());
  if (pw == nullptr) {
    return ctx.error(node.args[0], fmt::format("getpwnam(\"{}\") failed{}", name, errno_suffix(errno)));
  }
  process.username = name;
  process.user = pw->pw_uid;
  errno = 0;
  const ::group* gr = getgrnam(group.c_str());
  if (gr == nullptr) {
    return ctx.error(node.args.back(), fmt::format("getgrnam(\"{}\") failed{}", group, errno_suffix(errno)));
  }
  process.group = gr->gr_gid;
  return {};
}

Status set_priority(Context& ctx, const Node& node) {
  auto& setting = ctx.conf<ProcessConf>().priority;
  if (setting.is_set()) return conf::duplicate();
  std::string_view text = node.arg(0);
  const bool minus = text.starts_with('-');
  if (minus || text.starts_with('+')) text.remove_prefix(1);
  const auto value = parse_natural<std::int64_t>(text);
  if (!value || *value > 1000) return fail("invalid number");
  setting.set(static_cast<int>(minus ? -*value : *value));
  return {};
}

// One mask of worker_cpu_affinity: a bit string, the last character is CPU 0.
Status parse_mask(Context& ctx, const Arg& arg, cpu_set_t& mask) {
  CPU_ZERO(&mask);
  if (arg.text.size() > CPU_SETSIZE) {
    return ctx.error(arg, fmt::format("\"worker_cpu_affinity\" supports up to {} CPUs only", CPU_SETSIZE));
  }
  int cpu = 0;
  for (auto c = arg.text.rbegin(); c != arg.text.rend(); ++c) {
    if (*c == ' ') continue;
    if (*c != '0' && *c != '1') {
      return ctx.error(arg, fmt::format("invalid character \"{}\" in \"worker_cpu_affinity\"", *c));
    }
    if (*c == '1') CPU_SET(cpu, &mask);
    ++cpu;
  }
  return {};
}

Status set_affinity(Context& ctx, const Node& node) {
  auto& process = ctx.conf<ProcessConf>();
  if (!process.affinity.empty()) return conf::duplicate();
  process.affinity_node = &node;
  std::size_t first = 0;
  if (node.arg(0) == "auto") {
    if (node.args.size() > 2) {
      return ctx.error(node, "invalid number of arguments in \"worker_cpu_affinity\" directive");
    }
    process.affinity_auto = true;
    first = 1;
    if (node.args.size() == 1) {
      cpu_set_t all;
      CPU_ZERO(&all);
      const long count = std::clamp(sysconf(_SC_NPROCESSORS_ONLN), 1L, static_cast<long>(CPU_SETSIZE));
      for (long i = 0; i < count; ++i) CPU_SET(i, &all);
      process.affinity.push_back(all);
    }
  }
  for (std::size_t i = first; i < node.args.size(); ++i) {
    cpu_set_t mask;
    TRY(parse_mask(ctx, node.args[i], mask));
    process.affinity.push_back(mask);
  }
  return {};
}

Status add_env(Context& ctx, const Node& node) {
  ctx.conf<ProcessConf>().env.push(ctx.arena(), node.arg(0));
  return {};
}

Status add_error_log(Context& ctx, const Node& node) {
  std::vector<std::string_view> args;
  for (const Arg& arg : node.args) args.push_back(arg.text);
  auto& wide = ctx.conf<ProcessWide>();
  const auto resolve = [&ctx](std::string_view path) { return std::string(ctx.full_path(path)); };
  const std::string where = fmt::format("{}:{}", ctx.file_name(node.position), node.end.line);
  if (auto added = wide.error_log.add(args, resolve, wide.files, where); !added) {
    return ctx.error(node.args.back(), std::move(added.error().text));
  }
  return {};
}

// Modules are linked in. Naming one of those is how configurations ask for what is there already.
Status load_module(Context& ctx, const Node& node) {
  static constexpr std::string_view kBuiltIn[] = {
      "ndk_http_module.so",          "ngx_http_lua_module.so",
      "ngx_http_echo_module.so",     "ngx_http_headers_more_filter_module.so",
      "ngx_http_memc_module.so",     "ngx_http_redis2_module.so",
      "ngx_http_set_misc_module.so", "ngx_http_srcache_filter_module.so",
  };
  const std::string_view path = node.arg(0);
  const std::string_view name = path.substr(path.rfind('/') + 1);
  if (std::find(std::begin(kBuiltIn), std::end(kBuiltIn), name) != std::end(kBuiltIn)) return {};
  return ctx.error(
      node.args[0],
      fmt::format("module \"{}\" is not built in, and modules are not loaded at run time", path));
}

// Threads for blocking work: ngx.run_worker_thread() and `aio threads` name a pool.
Status add_thread_pool(Context& ctx, const Node& node) {
  ProcessConf::ThreadPoolLine line{.name = node.arg(0)};
  for (const Arg& arg : node.args.subspan(1)) {
    const bool is_threads = arg.text.starts_with("threads=");
    const bool is_queue = arg.text.starts_with("max_queue=");
    if (!is_threads && !is_queue) return ctx.error(arg, fmt::format("invalid parameter \"{}\"", arg.text));
    const auto value = parse_natural<std::int64_t>(arg.text.substr(arg.text.find('=') + 1));
    if (!value || (is_threads && (*value == 0 || *value > 65535))) {
      return ctx.error(
          arg, fmt::format("invalid {} value \"{}\"", is_threads ? "threads" : "max_queue", arg.text));
    }
    if (is_threads) line.threads = static_cast<unsigned>(*value);
    if (is_queue) line.max_queue = static_cast<std::size_t>(*value);
  }
  if (line.threads == 0) return ctx.error(node, "\"thread_pool\" must have \"threads\" parameter");
  auto& pools = ctx.conf<ProcessConf>().thread_pools;
  for (const auto& other : pools) {
    if (other.name == line.name)
      return ctx.error(node, fmt::format("duplicate thread pool \"{}\"", line.name));
  }
  pools.push_back(line);
  return {};
}

Status events_block(Context& ctx, const Node& node) {
  if (ctx.configuration().root()[Level::events] != nullptr) return conf::duplicate();
  return ctx.children(node, Scope::events, ctx.nested_sets(node, {Level::events}));
}

Status set_event_method(Context& ctx, const Node& node) {
  auto& setting = ctx.conf<EventsConf>().use;
  if (setting.is_set()) return conf::duplicate();
  const std::string_view name = node.arg(0);
  if (name == "select") {
    ctx.warn(node.args[0], "event type \"select\" is served by \"poll\"");
    setting.set("poll");
    return {};
  }
  if (name != "epoll" && name != "poll")
    return ctx.error(node.args[0], fmt::format("invalid event type \"{}\"", name));
  setting.set(name);
  return {};
}

Status set_worker_connections(Context& ctx, const Node& node) {
  auto& setting = ctx.conf<EventsConf>().worker_connections;
  if (setting.is_set()) return conf::duplicate();
  const auto value = parse_natural<int>(node.arg(0));
  if (!value) return ctx.error(node.args[0], fmt::format("invalid number \"{}\"", node.arg(0)));
  setting.set(*value);
  return {};
}

// A network in numbers. False when `arg` is none: it may be a name.
bool parse_network(Context& ctx, const Arg& arg, DebugConnection& network) {
  const std::size_t slash = arg.text.find('/');
  const std::string host(arg.text.substr(0, slash));
  const bool six = host.find(':') != std::string::npos;
  network.family = six ? AF_INET6 : AF_INET;
  const std::int64_t width = six ? 128 : 32;
  std::int64_t bits = width;
  if (slash != std::string_view::npos) {
    const auto prefix = parse_natural<std::int64_t>(arg.text.substr(slash + 1));
    if (!prefix || *prefix > width) return false;
    bits = *prefix;
  }
  if (inet_pton(network.family, host.c_str(), network.address.data()) != 1) return false;
  bool stray = false;
  for (std::size_t i = 0; i < static_cast<std::size_t>(width / 8); ++i) {
    const std::int64_t here = std::clamp<std::int64_t>(bits - static_cast<std::int64_t>(i) * 8, 0, 8);
    network.mask[i] = static_cast<std::uint8_t>(0xff00 >> here);
    stray = stray || (network.address[i] & ~network.mask[i]) != 0;
    network.address[i] &= network.mask[i];
  }
  if (stray) ctx.warn(arg, fmt::format("low address bits of {} are meaningless", arg.text));
  return true;
}

Status add_debug_connection(Context& ctx, const Node& node) {
  auto& list = ctx.conf<EventsConf>().debug_connections;
  const Arg& arg = node.args[0];
  if (arg.text == "unix:") {
    list.push_back({.family = AF_UNIX});
    return {};
  }
  if (DebugConnection network; parse_network(ctx, arg, network)) {
    list.push_back(network);
    return {};
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string host(arg.text);
  if (host.empty() || getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) {
    return ctx.error(arg, fmt::format("host not found in debug_connection \"{}\"", host));
  }
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    DebugConnection one{.family = a->ai_family};
    one.mask.fill(0xff);
    if (a->ai_family == AF_INET) {
      std::memcpy(one.address.data(), &reinterpret_cast<sockaddr_in*>(a->ai_addr)->sin_addr, 4);
    } else if (a->ai_family == AF_INET6) {
      std::memcpy(one.address.data(), &reinterpret_cast<sockaddr_in6*>(a->ai_addr)->sin6_addr, 16);
    } else {
      continue;
    }
    list.push_back(one);
  }
  freeaddrinfo(found);
  return {};
}

constexpr conf::Named<ProcessConf::DebugPoints> kDebugPoints[] = {
    {"stop", ProcessConf::DebugPoints::stop},
    {"abort", ProcessConf::DebugPoints::abort},
};

constexpr Scope kMain = Scope::main;
constexpr Scope kEvents = Scope::events;

constexpr Directive kDirectives[] = {
    {.name = "daemon", .where = kMain, .args = conf::flag(), .parse = set<&ProcessConf::daemon>},
    {.name = "master_process",
     .where = kMain,
     .args = conf::flag(),
     .parse = set<&ProcessConf::master_process>},
    {.name = "worker_processes", .where = kMain, .args = exactly(1), .parse = set_worker_processes},
    {.name = "pid", .where = kMain, .args = exactly(1), .parse = set<&ProcessConf::pid>},
    {.name = "lock_file", .where = kMain, .args = exactly(1), .parse = set<&ProcessConf::lock_file>},
    {.name = "user", .where = kMain, .args = between(1, 2), .parse = set_user},
    {.name = "env", .where = kMain, .args = exactly(1), .parse = add_env},
    {.name = "error_log", .where = kMain, .args = conf::at_least(1), .parse = add_error_log},
    {.name = "timer_resolution",
     .where = kMain,
     .args = exactly(1),
     .parse = set<&ProcessConf::timer_resolution>},
    {.name = "debug_points",
     .where = kMain,
     .args = exactly(1),
     .parse = conf::set_enum<&ProcessConf::debug_points, kDebugPoints>},
    {.name = "working_directory",
     .where = kMain,
     .args = exactly(1),
     .parse = set<&ProcessConf::working_directory>},
    {.name = "worker_priority", .where = kMain, .args = exactly(1), .parse = set_priority},
    {.name = "worker_cpu_affinity", .where = kMain, .args = conf::at_least(1), .parse = set_affinity},
    {.name = "worker_rlimit_nofile",
     .where = kMain,
     .args = exactly(1),
     .parse = set<&ProcessConf::rlimit_nofile>},
    {.name = "worker_rlimit_core",
     .where = kMain,
     .args = exactly(1),
     .parse = set<&ProcessConf::rlimit_core>},
    {.name = "worker_shutdown_timeout",
     .where = kMain,
     .args = exactly(1),
     .parse = set<&ProcessConf::shutdown_timeout>},
    {.name = "pcre_jit", .where = kMain, .args = conf::flag(), .parse = set<&ProcessConf::pcre_jit>},
    {.name = "thread_pool", .where = kMain, .args = between(2, 3), .parse = add_thread_pool},
    {.name = "load_module", .where = kMain, .args = exactly(1), .parse = load_module},
    {.name = "events", .where = kMain, .block = Block::nested, .parse = events_block},

    {.name = "worker_connections", .where = kEvents, .args = exactly(1), .parse = set_worker_connections},
    {.name = "use", .where = kEvents, .args = exactly(1), .parse = set_event_method},
    {.name = "multi_accept", .where = kEvents, .args = conf::flag(), .parse = set<&EventsConf::multi_accept>},
    {.name = "accept_mutex", .where = kEvents, .args = conf::flag(), .parse = set<&EventsConf::accept_mutex>},
    {.name = "accept_mutex_delay",
     .where = kEvents,
     .args = exactly(1),
     .parse = set<&EventsConf::accept_mutex_delay>},
    {.name = "epoll_events", .where = kEvents, .args = exactly(1), .parse = set<&EventsConf::epoll_events>},
    {.name = "worker_aio_requests",
     .where = kEvents,
     .args = exactly(1),
     .parse = set<&EventsConf::worker_aio_requests>},
    {.name = "debug_connection", .where = kEvents, .args = exactly(1), .parse = add_debug_connection},
};

constexpr conf::ConfType kConfs[] = {
    conf::conf_type<ProcessConf>(),
    conf::conf_type<ProcessWide>(),
    conf::conf_type<EventsConf>(),
};

}  // namespace

constinit const conf::Module kProcessModule = {.name = "process",
                                               .directives = kDirectives,
                                               .confs = kConfs,
                                               .before_http = nullptr,
                                               .after_http = nullptr};

}  // namespace mp::app
