// Context: in which hook Lua code runs. Bits, so that the contexts an API function allows are one word; the
// numbers are those scripts see through ngx.get_raw_phase().
#pragma once

#include <cstdint>

namespace mp::lua {

enum Context : std::uint32_t {
  kInit = 0,
  kSet = 0x1,
  kRewrite = 0x2,
  kAccess = 0x4,
  kContent = 0x8,
  kLog = 0x10,
  kHeaderFilter = 0x20,
  kBodyFilter = 0x40,
  kTimer = 0x80,
  kInitWorker = 0x100,
  kBalancer = 0x200,
  kSslCert = 0x400,
  kSslSessionStore = 0x800,
  kSslSessionFetch = 0x1000,
  kExitWorker = 0x2000,
  kSslClientHello = 0x4000,
  kServerRewrite = 0x8000,
  kProxySslVerify = 0x10000,
  kPrecontent = 0x20000,
  kProxySslCert = 0x40000,
};
using Contexts = std::uint32_t;

inline constexpr Contexts kRequestPhases = kServerRewrite | kRewrite | kAccess | kPrecontent | kContent;
inline constexpr Contexts kFilters = kHeaderFilter | kBodyFilter;
inline constexpr Contexts kSslPhases =
    kSslCert | kSslSessionFetch | kSslClientHello | kProxySslCert | kProxySslVerify;
// Where user threads may be started and requests be ended, as documented.
inline constexpr Contexts kYieldable = kRequestPhases | kTimer | kSslPhases;
// Where code may wait: everywhere in a worker.
inline constexpr Contexts kWaiting =
    kYieldable | kFilters | kSet | kLog | kBalancer | kSslSessionStore | kInitWorker | kExitWorker;

// "content_by_lua*", for messages.
const char* context_name(Context context);
// "content", what ngx.get_phase() returns.
const char* phase_name(Context context);

}  // namespace mp::lua
