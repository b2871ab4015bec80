// Exchange: one request and its response on a protocol. Implemented by proto/h1 and proto/h2; everything
// above sees no other difference between the protocols.
#pragma once

#include <span>

#include "http/output.hpp"
#include "net/io.hpp"

namespace mp::http {

class Exchange : public Sink {
 public:
  // The next bytes of the request body, decoded. eof when it is complete; timeout after client_body_timeout
  // without a byte; failed with error EBADMSG when the client broke the framing, EFBIG when it exceeds
  // `client_max_body_size`. Sends "100 Continue" first when the client waits for it.
  virtual net::Io read_body(Request& request, std::span<char> into) = 0;

  // Never parks: `again` when nothing has come yet.
  virtual net::Io try_read_body(Request& request, std::span<char> into) = 0;

  // No (more) body is to come.
  virtual bool body_complete() const = 0;

  // Sends an informational response (100, 103) now.
  virtual bool send_informational(Request& request, int status) = 0;

  // Writes out what was held back; true when everything has been taken by the kernel.
  virtual bool flush(Request& request) = 0;

  // Bytes of response accepted from above and not yet taken by the kernel.
  virtual std::size_t unsent() const = 0;

  // True when the head of the request's response would only be held back: no wait, no system call.
  virtual bool can_hold_head() const { return false; }
  // Behind the head: puts a part of the body with what is held back. False, and nothing was done, when that
  // would take a wait or a system call.
  virtual bool hold(Request&, std::span<const std::string_view>) { return false; }

  // Takes the raw connection away from HTTP (Upgrade tunnels, ngx.req.socket(true)): the bytes that were read
  // ahead, and from now on the caller owns reading and writing. Null span result and false where the protocol
  // cannot.
  virtual bool take_over(Request& request, std::string_view& read_ahead) = 0;

  // The connection will not be used for another request.
  virtual void no_keepalive() = 0;
  virtual bool keepalive() const = 0;
};

}  // namespace mp::http
