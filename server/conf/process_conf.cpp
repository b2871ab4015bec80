#include "conf/process_conf.hpp"

#include <cerrno>
#include <cstring>

#include <fmt/core.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <unistd.h>

#include "conf/configuration.hpp"
#include "conf/context.hpp"

namespace mp::conf {
namespace {

constexpr const char* kDefaultPid = "logs/nginx.pid";
constexpr const char* kDefaultUser = "nobody";
constexpr const char* kDefaultGroups[] = {"nogroup", "nobody"};

}  // namespace

Status ProcessConf::finish(Context& ctx) {
  pid_path = pid.is_set() ? std::string(pid.get().text) : std::string(ctx.full_path(kDefaultPid));
  old_pid_path = pid_path + ".oldbin";
  if (ctx.configuration().root()[Level::events] == nullptr)
    return fail("no \"events\" section in configuration");
  const auto masks = affinity.size();
  if (!affinity_auto && masks > 1 && masks != static_cast<std::size_t>(worker_processes)) {
    ctx.warn(*affinity_node,
             "the number of \"worker_processes\" is not equal to the number of \"worker_cpu_affinity\" "
             "masks, using "
             "last mask for remaining worker processes");
  }
  if (user != kNoUser || geteuid() != 0) return {};

  errno = 0;
  const passwd* nobody = getpwnam(kDefaultUser);
  if (nobody == nullptr) {
    const int error = errno;
    std::string failed = fmt::format("getpwnam(\"{}\") failed", kDefaultUser);
    return fail(error == 0 ? Error{0, std::move(failed)} : system_error(error, failed));
  }
  username = kDefaultUser;
  user = nobody->pw_uid;
  group = nobody->pw_gid;
  for (const char* name : kDefaultGroups) {
    if (const ::group* found = getgrnam(name)) {
      group = found->gr_gid;
      break;
    }
  }
  return {};
}

bool DebugConnection::matches(const sockaddr* peer) const {
  if (peer->sa_family == AF_UNIX || family == AF_UNIX) return peer->sa_family == family;
  const std::uint8_t* bytes = nullptr;
  std::size_t size = 4;
  if (peer->sa_family == AF_INET) {
    bytes = reinterpret_cast<const std::uint8_t*>(&reinterpret_cast<const sockaddr_in*>(peer)->sin_addr);
  } else if (peer->sa_family == AF_INET6) {
    const in6_addr& six = reinterpret_cast<const sockaddr_in6*>(peer)->sin6_addr;
    const bool mapped = family == AF_INET && IN6_IS_ADDR_V4MAPPED(&six);
    bytes = six.s6_addr + (mapped ? 12 : 0);
    size = mapped ? 4 : 16;
  } else {
    return false;
  }
  if (size != (family == AF_INET ? 4u : 16u)) return false;
  for (std::size_t i = 0; i < size; ++i) {
    if ((bytes[i] & mask[i]) != address[i]) return false;
  }
  return true;
}

}  // namespace mp::conf
