#include "upstream/h2_exchange.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <vector>

#include "base/ascii.hpp"
#include "base/log.hpp"
#include "base/numbers.hpp"
#include "base/strings.hpp"
#include "fiber/scheduler.hpp"
#include "http/header_id.hpp"
#include "http/request.hpp"
#include "http/status.hpp"
#include "upstream/h2_client.hpp"

namespace mp::upstream {
namespace {

using http::HeaderId;

// Whose request waits for this; for the log.
const log::Logger* logger() {
  auto* request = static_cast<http::Request*>(fiber::local().request);
  return request != nullptr ? &request->logger : nullptr;
}

std::string_view next_line(std::string_view& text) {
  const std::size_t end = std::min(text.find("\r\n"), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 2, text.size()));
  return line;
}

// Fields that say how HTTP/1.1 moves the message, and those that HTTP/2 has other means for.
bool stays_behind(HeaderId id, std::string_view value) {
  switch (id) {
    case HeaderId::connection:
    case HeaderId::keep_alive:
    case HeaderId::proxy_connection:
    case HeaderId::transfer_encoding:
    case HeaderId::upgrade:
      return true;
    case HeaderId::te:
      return !equals_nocase(value, "trailers");
    default:
      return false;
  }
}

nghttp2_nv nv(std::string_view name, std::string_view value) {
  auto* n = reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data()));
  auto* v = reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data()));
  return {n, v, name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

ssize_t read_body(nghttp2_session* engine, std::int32_t id, std::uint8_t*, std::size_t size,
                  std::uint32_t* flags, nghttp2_data_source*, void*) {
  auto* exchange = static_cast<H2Exchange*>(nghttp2_session_get_stream_user_data(engine, id));
  if (exchange == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  return exchange->offer(size, *flags);
}

}  // namespace

H2Exchange::~H2Exchange() {
  if (engine() != nullptr && id_ > 0) {
    nghttp2_session_set_stream_user_data(engine(), id_, nullptr);
    if (!over_ || !body_complete_) {
      nghttp2_submit_rst_stream(engine(), NGHTTP2_FLAG_NONE, id_, over_ ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
    }
  }
  client_->ended(*this);
}

bool H2Exchange::refused() const {
  return refused_ && !client_->left_in_anger();
}

const Link& H2Exchange::carrier() const {
  return client_->link();
}

nghttp2_session* H2Exchange::engine() const {
  return client_->engine();
}

// ---- the request

net::Io H2Exchange::try_write(net::Socket& socket, std::span<const iovec> pieces) {
  std::size_t moved = 0;
  for (const iovec& piece : pieces) {
    const std::string_view bytes{static_cast<const char*>(piece.iov_base), piece.iov_len};
    std::size_t used = 0;
    const net::Io io = put(bytes, used);
    moved += used;
    if (io.kind == net::Io::Kind::failed) return io;
    if (used < bytes.size()) break;
  }
  socket.bytes_written += moved;
  return moved > 0 ? net::Io::moved(moved) : net::Io::again();
}

net::Io H2Exchange::put(std::string_view bytes, std::size_t& used) {
  if (over_ || (submitted_ && id_ == 0)) {
    // An answer that came early: nobody wants the rest.
    if (failed_ && !head_done_) return net::Io::failed(EPIPE);
    used = bytes.size();
    return net::Io::moved(used);
  }
  if (!submitted_) {
    const std::size_t before = head_.size();
    head_.append(bytes);
    const std::size_t end = head_.find("\r\n\r\n", before < 3 ? 0 : before - 3);
    if (end == std::string::npos) {
      used = bytes.size();
      return net::Io::moved(used);
    }
    used = end + 4 - before;
    head_.resize(end + 2);
    if (!submit(head_)) return net::Io::failed(EPIPE);
    head_ = {};
    bytes.remove_prefix(used);
  }
  used += put_body(bytes);
  return net::Io::moved(used);
}

bool H2Exchange::submit(std::string_view head) {
  if (engine() == nullptr) return false;
  submitted_ = true;
  std::string_view line = next_line(head);
  const std::string_view method = line.substr(0, line.find(' '));
  line.remove_prefix(std::min(method.size() + 1, line.size()));
  const std::string_view path = line.substr(0, line.rfind(' '));

  std::string names;  // in lower case
  names.reserve(head.size());
  std::vector<nghttp2_nv> fields;
  fields.reserve(24);
  fields.push_back(nv(":method", method));
  fields.push_back(nv(":scheme", client_->scheme()));
  fields.push_back(nv(":path", path));
  fields.push_back(nv(":authority", ""));
  while (!head.empty()) {
    line = next_line(head);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trim(line.substr(colon + 1));
    const HeaderId id = http::header_id(name);
    if (name == "Host") {
      fields[3] = nv(":authority", value);
      continue;
    }
    if (id == HeaderId::transfer_encoding && equals_nocase(value, "chunked")) body_ = Body::chunked;
    if (id == HeaderId::content_length) {
      left_ = static_cast<std::uint64_t>(parse_natural<std::int64_t>(value).value_or(0));
      if (left_ > 0 && body_ == Body::none) body_ = Body::length;
    }
    if (stays_behind(id, value)) continue;
    const std::size_t at = names.size();
    for (const char c : name) names.push_back(to_lower(c));
    fields.push_back(nv({names.data() + at, name.size()}, value));
  }
  if (fields[3].valuelen == 0) fields.erase(fields.begin() + 3);
  if (body_ == Body::chunked) chunks_.emplace();
  body_complete_ = body_ == Body::none;
  nghttp2_data_provider provider{{.ptr = nullptr}, read_body};
  id_ = nghttp2_submit_request(engine(), nullptr, fields.data(), fields.size(),
                               body_complete_ ? nullptr : &provider, this);
  client_->schedule();
  last_id_ = id_;
  if (id_ > 0) return true;
  id_ = 0;
  refused_ = true;  // the connection has no numbers left, or ends
  return false;
}

std::size_t H2Exchange::put_body(std::string_view bytes) {
  const std::size_t room = kMostHeld - std::min(kMostHeld, output_.size());
  std::string_view part = bytes.substr(0, room);
  switch (body_) {
    case Body::none:
      return bytes.size();
    case Body::length:
      part = part.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, part.size())));
      output_.append(part);
      left_ -= part.size();
      if (left_ == 0) body_complete_ = true;
      break;
    case Body::chunked:
      for (std::string_view rest = part; !rest.empty();) {
        const auto event = chunks_->next(rest);
        rest.remove_prefix(chunks_->consumed());
        if (event == proto::ChunkedDecoder::Event::data) output_.append(chunks_->data());
        if (event == proto::ChunkedDecoder::Event::done) body_complete_ = true;
        if (event != proto::ChunkedDecoder::Event::data) break;
      }
      break;
  }
  socket_.writable = output_.size() < kMostHeld;
  body_put();
  return part.size();
}

void H2Exchange::body_put() {
  if (std::exchange(deferred_, false) && engine() != nullptr) nghttp2_session_resume_data(engine(), id_);
  client_->schedule();
}

ssize_t H2Exchange::offer(std::size_t most, std::uint32_t& flags) {
  const std::size_t n = std::min(most, output_.size());
  if (n == 0 && !body_complete_) {
    deferred_ = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (body_complete_ && n == output_.size()) flags |= NGHTTP2_DATA_FLAG_EOF;
  return static_cast<ssize_t>(n);
}

bool H2Exchange::take(const std::uint8_t* frame_head, std::size_t size, proto::OutputBuffer& out) {
  if (size > output_.size()) return false;
  out.append({reinterpret_cast<const char*>(frame_head), proto::kH2FrameHead});
  out.append(output_.bytes().substr(0, size));
  output_.consume(size);
  if (output_.empty()) output_.release();
  if (!socket_.writable && output_.size() < kMostHeld / 2) {
    socket_.writable = true;
    fiber::wake(std::exchange(socket_.writer, {}));
  }
  return true;
}

// ---- the response

void H2Exchange::field(std::string_view name, std::string_view value) {
  if (name == ":status") {
    status_ = parse_natural<int>(value).value_or(0);
    return;
  }
  if (name.starts_with(':') || fields_.size() + name.size() + value.size() > kMostHead) return;
  const HeaderId id = http::header_id(name);
  if (stays_behind(id, value)) return;
  if (id == HeaderId::content_length && !head_done_) has_length_ = true;
  fields_.append(name).append(": ").append(value).append("\r\n");
}

void H2Exchange::head_complete(bool ended) {
  if (head_done_) {  // trailers
    trailers_ = std::exchange(fields_, {});
    if (ended) input_ended();
    return;
  }
  const bool interim = status_ < 200;
  std::string head = "HTTP/1.1 ";
  const std::string_view words = http::status_line(status_);
  head.append(words.empty() ? std::to_string(status_) + " " : std::string(words)).append("\r\n");
  head.append(std::exchange(fields_, {}));
  if (!interim) {
    head_done_ = true;
    const bool bodiless = status_ == 204 || status_ == 304;
    chunked_ = !bodiless && !ended;  // trailers may follow any body, whatever is known of its length
    if (chunked_) head.append("Transfer-Encoding: chunked\r\n");
    if (ended && !has_length_ && !bodiless) head.append("Content-Length: 0\r\n");
  }
  has_length_ = has_length_ && !interim;
  input_.append(head.append("\r\n"));
  if (ended) over_ = true;
  tell_reader();
}

void H2Exchange::body(std::string_view bytes) {
  if (chunked_) {
    char head[proto::kMaxChunkHead];
    input_.append({head, static_cast<std::size_t>(proto::write_chunk_head(head, bytes.size()) - head)});
  }
  input_.append(bytes);
  if (chunked_) input_.append("\r\n");
  unconsumed_ += bytes.size();
  tell_reader();
}

void H2Exchange::input_ended() {
  if (over_) return;
  over_ = true;
  if (chunked_) {
    input_.append("0\r\n");
    input_.append(trailers_);
    input_.append("\r\n");
  }
  tell_reader();
}

void H2Exchange::closed(std::uint32_t error) {
  id_ = 0;
  body_complete_ = true;
  if (over_) return;
  over_ = failed_ = true;
  error_ = error;
  refused_ = error == NGHTTP2_REFUSED_STREAM;
  mistake_ = client_->take_mistake();
  tell_reader();
}

// A server may reset a stream whose response is complete, to say that it needs no more of the request.
// Anything else takes the response back, or what has not been read of it.
void H2Exchange::reset(std::uint32_t error) {
  told_off_ = true;
  if (!over_ || failed_ || input_.empty()) return;
  if (error == NGHTTP2_NO_ERROR && !std::exchange(reset_, true)) return;
  failed_ = true;
  error_ = error;
  sent_on_ = error == NGHTTP2_NO_ERROR;
  input_.release();
  tell_reader();
}

void H2Exchange::broken() {
  id_ = 0;
  if (over_) return;
  over_ = failed_ = lost_ = true;
  mistake_ = client_->mistake();
  tell_reader();
}

void H2Exchange::tell_reader() {
  socket_.readable = true;
  fiber::wake(std::exchange(socket_.reader, {}));
  if (over_) {
    socket_.writable = true;
    fiber::wake(std::exchange(socket_.writer, {}));
  }
}

void H2Exchange::consumed(std::size_t bytes) {
  const std::size_t n = std::min(bytes, unconsumed_);
  unconsumed_ -= n;
  if (n == 0 || engine() == nullptr || id_ == 0 || over_) return;
  nghttp2_session_consume_stream(engine(), id_, n);
  client_->schedule();
}

net::Io H2Exchange::peek(net::Socket&) {
  if (!input_.empty()) return net::Io::moved(1);
  return over_ ? net::Io::eof() : net::Io::again();
}

net::Io H2Exchange::try_read(net::Socket& socket, std::span<char> into) {
  if (!input_.empty()) {
    const std::size_t n = std::min(into.size(), input_.size());
    std::memcpy(into.data(), input_.bytes().data(), n);
    input_.consume(n);
    if (input_.empty()) input_.release();
    socket.bytes_read += n;
    socket.readable = !input_.empty() || over_;
    consumed(n);
    return net::Io::moved(n);
  }
  if (!over_) {
    socket.readable = false;
    return net::Io::again();
  }
  if (failed_ && (!lost_ || !mistake_.empty())) {
    if (const log::Logger* log = logger()) {
      explained_ = true;
      if (!mistake_.empty()) {
        log::error(*log, "upstream sent invalid HTTP/2: {}", mistake_);
      } else if (const auto error = client_->goaway_error(); error && refused_ && !told_off_) {
        log::error(*log, "upstream sent goaway with error {}", *error);
      } else if (sent_on_) {
        log::error(*log, "upstream sent frame for closed stream {}", last_id_);
      } else {
        log::error(*log, "upstream rejected request with error {}", error_);
      }
    }
  }
  return net::Io::eof();
}

}  // namespace mp::upstream
