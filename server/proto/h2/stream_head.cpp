// The heads of an HTTP/2 stream's response: the final one, those before it, and trailers. They are encoded
// where their frame will be, at once when there is room.
#include <charconv>
#include <cstring>

#include "base/ascii.hpp"
#include "base/clock.hpp"
#include "base/strings.hpp"
#include "http/core_conf.hpp"
#include "http/status.hpp"
#include "proto/h2/stream.hpp"

namespace mp::proto {
namespace {

using http::HeaderField;
using http::HeaderId;

bool is_for_connection(HeaderId id) {
  return id == HeaderId::connection || id == HeaderId::keep_alive || id == HeaderId::proxy_connection ||
         id == HeaderId::transfer_encoding || id == HeaderId::upgrade;
}

// RFC 9113 8.2.1: blanks at the ends of a value would make the whole response malformed.
std::string_view trimmed(std::string_view value) {
  while (!value.empty() && is_blank(value.front())) value.remove_prefix(1);
  while (!value.empty() && is_blank(value.back())) value.remove_suffix(1);
  return value;
}

std::size_t room_of(const http::Headers& fields) {
  std::size_t room = 0;
  for (const HeaderField& field : fields) room += HpackEncoder::room(field.name.size(), field.value.size());
  return room;
}

char* put_field(HpackEncoder& encoder, char* p, HeaderId id, std::string_view name, std::string_view value) {
  return id != HeaderId::unknown ? encoder.field(p, id, value) : encoder.field(p, name, value);
}

}  // namespace

// All but the status, in the order in which they are sent.
template <class Put>
void H2Stream::each_field(http::Request& r, const Put& put) {
  const http::Response& out = r.out;
  const bool tunnel = upgrade_ && status_ == 200;
  if (out.headers.find(HeaderId::server) == nullptr) put(HeaderId::server, {}, http::server_field(r));
  if (out.headers.find(HeaderId::date) == nullptr) put(HeaderId::date, {}, clock().http_date());
  if (!out.content_type.empty()) {
    put(HeaderId::content_type, {},
        out.charset.empty() ? out.content_type : r.arena.concat(out.content_type, "; charset=", out.charset));
  }
  if (out.content_length >= 0 && out.status != 204) {
    char text[20];
    const char* const end = std::to_chars(text, text + sizeof text, out.content_length).ptr;
    put(HeaderId::content_length, {}, {text, static_cast<std::size_t>(end - text)});
  }
  if (out.last_modified >= 0) {
    char date[kHttpDateSize];
    write_http_date(date, out.last_modified);
    put(HeaderId::last_modified, {}, {date, kHttpDateSize});
  }
  for (const HeaderField& field : out.headers) {
    if (is_for_connection(field.id) || (tunnel && field.id == HeaderId::sec_websocket_accept)) continue;
    // An empty one of these two stands for none at all.
    if (field.value.empty() && (field.id == HeaderId::server || field.id == HeaderId::date)) continue;
    put(field.id, field.name, trimmed(field.value));
  }
}

// ---- the final head

// Kept back for the body behind it, until the turn of the stream at the end of this pass: a response that
// fails before then is not begun.
bool H2Stream::send_head(http::Request& r, bool no_body) {
  if (!open() || failed_ || head_sent_) return head_sent_ && !failed_;
  promised_ = no_body ? -1 : r.out.content_length;
  status_ = shown_status(r.out.status);
  head_sent_ = head_waits_ = true;
  head_ends_ = ending_ = no_body || (r.out.content_length == 0 && r.out.trailers.empty());
  if (ending_ && session_.room_in_output()) {
    write_head();
    session_.schedule();
  } else {
    resume();
  }
  return true;
}

int H2Stream::shown_status(int status) const {
  if (!upgrade_) return status;
  // To the client the tunnel of an extended CONNECT begins with a 200 ...
  if (status == 101) return 200;
  // ... and an answer of success that is no tunnel would be taken for one.
  return status >= 200 && status < 300 ? 502 : status;
}

void H2Stream::write_head() {
  http::Request& r = request_;
  const http::Response& out = r.out;
  head_waits_ = false;
  const std::size_t room = 512 + HpackEncoder::kFirstRoom + out.content_type.size() + out.charset.size() +
                           http::server_field(r).size() + room_of(out.headers);
  char* const start = session_.reserve(kH2FrameHead + room) + kH2FrameHead;
  HpackEncoder& encoder = session_.encoder();
  char* p = encoder.status(encoder.begin(start), status_);
  each_field(r, [&](HeaderId id, std::string_view name, std::string_view value) {
    p = put_field(encoder, p, id, name, value);
  });
  head_made(static_cast<std::size_t>(p - start), head_ends_);
}

// The block lies behind the place of a frame's head in the output.
void H2Stream::head_made(std::size_t size, bool last) {
  const std::size_t made = session_.head_frames(last ? h2_flag::kEndStream : 0, id_, size);
  sent_ += made;
  overhead_ += made;
  last_frame_ = session_.made();
  if (last) end_made_ = true;
}

// ---- before it, and behind the body

// Hints are left out where there is no room for them; who waits to go on must hear of it.
bool H2Stream::send_informational(http::Request& r, int status) {
  if (status == 100) continue_wanted_ = false;
  if (!open() || failed_ || head_sent_) return !failed_;
  if (status != 100 && !session_.room_in_output()) return true;
  const bool fields = status == 103;
  const std::size_t room = HpackEncoder::kFirstRoom + (fields ? room_of(r.out.headers) : 0);
  char* const start = session_.reserve(kH2FrameHead + room) + kH2FrameHead;
  HpackEncoder& encoder = session_.encoder();
  char* p = encoder.status(encoder.begin(start), status);
  for (const HeaderField& field : r.out.headers) {
    if (fields && !is_for_connection(field.id)) {
      p = put_field(encoder, p, field.id, field.name, trimmed(field.value));
    }
  }
  head_made(static_cast<std::size_t>(p - start), false);
  session_.schedule();
  return true;
}

void H2Stream::write_trailers() {
  const http::Headers& trailers = request_.out.trailers;
  char* const start =
      session_.reserve(kH2FrameHead + HpackEncoder::kFirstRoom + room_of(trailers)) + kH2FrameHead;
  HpackEncoder& encoder = session_.encoder();
  char* p = encoder.begin(start);
  for (const HeaderField& field : trailers) {
    if (!is_for_connection(field.id)) p = put_field(encoder, p, field.id, field.name, trimmed(field.value));
  }
  head_made(static_cast<std::size_t>(p - start), true);
}

}  // namespace mp::proto
