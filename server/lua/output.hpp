// How scripts answer: the response head with the defaults of the Lua module, HTTP/1.0 buffering, and the end
// of the body.
#pragma once

#include <string_view>

#include "http/request.hpp"
#include "lua/request_data.hpp"

namespace mp::lua {

// True when the head was sent, or is complete and waits with a buffered body.
inline bool headers_sent(const http::Request& request, const RequestData& data) {
  if (data.filtering_head) [[unlikely]]
    return false;
  return request.head_sent || (data.buffering && !data.buffered.empty());
}

// Sends the head with the default type and status. False when the client has gone.
bool send_head(http::Request& request, RequestData& data);

// Sends a part of the body. Only one thread writes at a time: others wait. Parks.
bool send_body(http::Request& request, RequestData& data, const http::Output& output);

// Sends what is buffered and the end of the body; the head too when nothing was sent. Once.
bool end_body(http::Request& request, RequestData& data);

}  // namespace mp::lua
