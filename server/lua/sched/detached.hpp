// Detached: a request of nobody, for code that runs for no client (timers, init_worker_by_lua). It has the
// settings of http {}, and answers nothing.
#pragma once

#include "conf/module.hpp"
#include "http/connection.hpp"
#include "http/output.hpp"
#include "http/request.hpp"

namespace mp::lua {

class Detached {
 public:
  // `sets` is LuaMain::detached of the configuration in force.
  explicit Detached(const conf::Sets& sets);

  http::Request& request() { return request_; }

 private:
  class NoConnection final : public http::Connection {
   protected:
    void input_ready() override {}
  };
  class NoSink final : public http::Sink {
   public:
    bool send_head(http::Request&, bool) override { return false; }
    bool send_body(http::Request&, const http::Output&) override { return false; }
  };

  NoConnection connection_;
  NoSink sink_;
  http::Request request_;
};

// True when `request` is one of these: there is no client, no request line and no response.
inline bool is_detached(const http::Request& request) {
  return request.exchange == nullptr;
}

}  // namespace mp::lua
