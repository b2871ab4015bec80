#include "lua/request_data.hpp"

#include "http/request.hpp"
#include "lua/conf.hpp"
#include "lua/hooks/fresh_vm.hpp"

namespace mp::lua {

RequestData* make_request_data(http::Request& request, RequestData* found) {
  RequestData& data = found != nullptr ? *found : request.add_ctx<RequestData>();
  request.scripted = request.main->scripted = true;
  auto& main = request.conf<LuaMain>();
  if (request.conf<LuaLocation>().code_cache || main.vm == nullptr) [[likely]] {
    data.vm = main.vm.get();
    return data.vm != nullptr ? &data : nullptr;
  }
  auto own = fresh_vm(main);
  if (!own) {
    log::error(request.logger, "{}", own.error().text);
    return nullptr;
  }
  data.own_vm = std::move(*own);
  data.vm = data.own_vm.get();
  return &data;
}

}  // namespace mp::lua
