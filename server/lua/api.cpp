#include "lua/api.hpp"

namespace mp::lua {

const log::Logger& logger() {
  if (const Request* r = request()) return r->logger;
  static const log::Logger kNowhere;
  const LightThread* thread = self();
  return thread != nullptr ? thread->run->vm.logger() : kNowhere;
}

Request& check_request(lua_State* L) {
  Request* r = request();
  if (r == nullptr) luaL_error(L, "no request found");
  return *r;
}

Request& check_request(lua_State* L, Contexts allowed) {
  Request& r = check_request(L);
  check_context(L, allowed);
  return r;
}

void check_context(lua_State* L, Contexts allowed) {
  const Context now = context();
  if ((now & allowed) == 0) luaL_error(L, "API disabled in the context of %s", context_name(now));
}

int usable(Request*& out, Contexts allowed) {
  out = request();
  if (out == nullptr) return kNoRequest;
  return (context() & allowed) != 0 ? kOk : kBadContext;
}

}  // namespace mp::lua
