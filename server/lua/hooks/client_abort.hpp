// AbortWatch: lua_check_client_abort. While one lives, the client's going away cancels the hook, or starts
// the callback of ngx.on_abort when there is one. On the native stack of the hook.
#pragma once

#include "fiber/timer_wheel.hpp"
#include "http/connection.hpp"

namespace mp::http {
class Request;
}

namespace mp::lua {

class Run;

class AbortWatch final : public http::HangupListener {
 public:
  AbortWatch(http::Request& request, Run& run);

  void client_gone() override;

 private:
  // The client had gone before the hook began: told when the hook first waits, like any later departure.
  class GoneBefore final : public fiber::Timer {
   public:
    explicit GoneBefore(AbortWatch& watch) : watch_(watch) {}

   protected:
    void expired() override { watch_.client_gone(); }

   private:
    AbortWatch& watch_;
  };

  http::Request& request_;
  Run& run_;
  GoneBefore gone_before_{*this};
};

}  // namespace mp::lua
