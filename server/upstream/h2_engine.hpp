// H2Engine: a pump with nghttp2 as the machine for frames and HPACK, for connections to upstream servers.
#pragma once

#include <cstddef>
#include <string_view>

#include <nghttp2/nghttp2.h>

#include "proto/h2/pump.hpp"
#include "upstream/h2_head_mender.hpp"

namespace mp::upstream {

class H2Engine : public proto::H2Pump {
 public:
  // `most_held`: of a head that the engine is given as a whole.
  H2Engine(net::Socket& socket, std::size_t most_held) : H2Pump(socket), mender_(most_held) {}
  ~H2Engine() override { nghttp2_session_del(engine_); }

  nghttp2_session* engine() const {
    return dead() ? nullptr : engine_;
  }  // null: nothing can be sent any more

 protected:
  virtual void input_came(std::size_t bytes) = 0;  // and was given to the engine
  virtual void input_failed(int engine_error) = 0;

  // For the engine's callback that makes DATA frames.
  template <class Take>
  int send_data(Take take) {
    if (!room_in_output()) return NGHTTP2_ERR_WOULDBLOCK;
    return take(output_) ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }

  nghttp2_session* engine_ = nullptr;

 private:
  void take_input(std::string_view bytes) override;
  bool make_output() override;
  bool wants_output() const override { return nghttp2_session_want_write(engine_) != 0; }

  H2HeadMender mender_;
};

}  // namespace mp::upstream
