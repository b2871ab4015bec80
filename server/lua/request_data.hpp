// RequestData: what the Lua side keeps of a request between its hooks. Lives in the request's arena and goes
// at its end; an internal redirect starts with a new one.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "fiber/fiber.hpp"
#include "http/request.hpp"
#include "lua/vm/vm.hpp"

namespace mp::lua {

struct BodyFilterArgs;
class LuaBalancer;

struct RequestData {
  RequestData() {}  // makes no zeros of what is set here anyway
  RequestData(const RequestData&) = delete;
  RequestData& operator=(const RequestData&) = delete;
  ~RequestData() {
    if (slot != 0) vm->free_slot(slot);
  }

  Vm* vm = nullptr;
  std::shared_ptr<Vm> own_vm;  // with lua_code_cache off; shared with timers that were set here
  int slot = 0;                // of its tables in the Vm; 0: none yet

  // ---- output
  bool buffering = false;  // HTTP/1.0: the body is kept until its length is known
  std::string buffered;
  bool eof = false;             // the end of the body was sent, or the raw socket was taken
  bool raw_socket = false;      // ngx.req.socket(true) has taken the connection
  bool seen_body_data = false;  // something was printed
  bool headers_set = false;     // scripts have set response header fields
  bool content_type_set = false;
  bool writing = false;  // a thread is in the middle of a write
  fiber::Event written;

  // ---- what a hook is working on
  BodyFilterArgs* filter_args = nullptr;       // body_filter_by_lua
  std::span<const std::string_view> set_args;  // set_by_lua
  LuaBalancer* balancer = nullptr;             // balancer_by_lua
  bool filtering_head = false;                 // header_filter_by_lua runs: the head is not sent yet
  int filter_exit = 0;                         // the status header_filter_by_lua has asked for

  // ---- exec
  std::string_view exec_uri;
  std::string_view exec_args;
};

// The data of a request, with its Vm chosen. Null Vm pointer never; an own Vm that cannot be made logs and
// returns null.
RequestData* make_request_data(http::Request& request, RequestData* found);
inline RequestData* request_data(http::Request& request) {
  RequestData* const data = request.find_ctx<RequestData>();
  if (data != nullptr && data->vm != nullptr) [[likely]]
    return data;
  return make_request_data(request, data);
}

}  // namespace mp::lua
