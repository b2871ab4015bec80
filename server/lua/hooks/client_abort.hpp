// AbortWatch: lua_check_client_abort. While one lives, the client's going away cancels the hook, or starts
// the callback of ngx.on_abort when there is one. On the native stack of the hook.
#pragma once

#include "http/connection.hpp"

namespace mp::http {
class Request;
}

namespace mp::lua {

class Run;

class AbortWatch final : public http::HangupListener {
 public:
  AbortWatch(http::Request& request, Run& run, bool wanted);
  AbortWatch(const AbortWatch&) = delete;
  AbortWatch& operator=(const AbortWatch&) = delete;
  ~AbortWatch();

  void client_gone() override;

 private:
  http::Request& request_;
  Run& run_;
  http::HangupListener* outer_ = nullptr;
  bool watching_ = false;
};

}  // namespace mp::lua
