#include "lua/output.hpp"

#include "http/body.hpp"
#include "http/core_conf.hpp"
#include "http/mime.hpp"
#include "http/request.hpp"
#include "lua/conf.hpp"

namespace mp::lua {

using http::Request;

namespace {

// The right to write to the response: the fiber that has it may wait in the middle of a write.
class Turn {
 public:
  explicit Turn(RequestData& data) : data_(data) {
    while (data_.writing) [[unlikely]]
      data_.written.wait();
    data_.writing = true;
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() {
    data_.writing = false;
    data_.written.notify_all();
  }

 private:
  RequestData& data_;
};

bool is_http10_buffered(const Request& r) {
  return r.conf<LuaLocation>().http10_buffering && r.version < http::Version::http11 &&
         r.out.content_length < 0;
}

void complete_head(Request& r, RequestData& data) {
  if (r.out.status == 0) r.out.status = 200;
  if (r.method == http::Method::head) [[unlikely]]
    r.header_only = true;
  if (!data.content_type_set && r.out.status != 304 && r.out.content_type.empty() &&
      r.conf<LuaLocation>().use_default_type) {
    const auto& core = r.conf<http::CoreLocation>();
    if (core.types != nullptr && !r.exten.empty()) r.out.content_type = core.types->find(r.exten);
    if (r.out.content_type.empty()) r.out.content_type = core.default_type.get();
  }
  if (!data.headers_set) {
    r.clear_content_length();
    r.clear_accept_ranges();
  }
}

void drop_request_body(Request& r) {
  if (!r.is_sub() && r.body.state == http::RequestBody::State::unread && !http::discard_body(r)) [[unlikely]]
    r.keepalive = false;
}

[[gnu::noinline]] bool send_buffered(Request& r, RequestData& data) {
  data.buffering = false;
  if (!r.head_sent) {
    if (!r.header_only && r.out.content_length < 0) {
      r.out.content_length = static_cast<std::int64_t>(data.buffered.size());
    }
    if (!r.send_head()) return false;
  }
  const std::string body = std::move(data.buffered);
  data.buffered.clear();
  return body.empty() || r.write(body);
}

}  // namespace

bool send_head(Request& r, RequestData& data) {
  if (r.head_sent) return !r.aborted;
  complete_head(r, data);
  if (data.buffering) [[unlikely]]
    return true;
  // A filter may have sent something else instead: what the script produces is not wanted then.
  return r.send_head() && !r.finished;
}

bool send_body(Request& r, RequestData& data, const http::Output& output) {
  if (data.eof) return true;
  Turn turn(data);
  if (!data.buffering && !r.head_sent && is_http10_buffered(r)) data.buffering = true;
  if (!send_head(r, data)) return false;
  if (data.buffering) {
    for (const http::Piece& piece : output.pieces) data.buffered.append(piece.bytes);
    return true;
  }
  return r.write(output);
}

bool end_body(Request& r, RequestData& data) {
  if (data.eof) return true;
  Turn turn(data);
  if (!data.buffering && !r.head_sent && is_http10_buffered(r)) [[unlikely]]
    data.buffering = true;
  if (!send_head(r, data)) [[unlikely]]
    return false;
  drop_request_body(r);
  if (data.buffering && !send_buffered(r, data)) [[unlikely]]
    return false;
  data.eof = true;
  return r.finish_body();
}

}  // namespace mp::lua
