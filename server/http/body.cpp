#include "http/body.hpp"

#include <algorithm>
#include <cerrno>

#include "base/strings.hpp"
#include "fiber/scheduler.hpp"
#include "http/core_conf.hpp"
#include "http/file_io.hpp"
#include "http/lost_client.hpp"
#include "http/request.hpp"

namespace mp::http {

int body_failure_status(Request& r, const net::Io& io) {
  switch (io.kind) {
    case net::Io::Kind::timeout:
      log::info(r.logger, log::Errno{ETIMEDOUT}, "client timed out");
      r.main->ctx<ClientTimedOut>();
      return 408;
    case net::Io::Kind::failed:
      if (io.error == EFBIG) {
        const RequestBody& body = r.main->body;
        if (body.too_large_chunk == 0) {
          log::error(r.logger, "client intended to send too large chunked body: {} bytes", body.too_large);
        } else {
          log::error(r.logger, "client intended to send too large chunked body: {}+{} bytes", body.too_large,
                     body.too_large_chunk);
        }
        return 413;
      }
      if (io.error == EBADMSG) return 400;
      if (io.error == ECANCELED) {
        log::info(r.logger, "client prematurely closed stream");
        r.main->aborted = true;
        return kClientClosedRequest;
      }
      // The plain end of its bytes is no error of a system call.
      log::info(r.logger, log::Errno{io.error == ECONNRESET ? 0 : io.error},
                "client prematurely closed connection");
      r.main->aborted = true;
      return 400;
    default:
      return 400;
  }
}

namespace {

// Reads the body of `r` into memory, or into a file as soon as it does not fit.
class BodyReader {
 public:
  BodyReader(Request& request, ReadBodyOptions options)
      : r_(request), conf_(request.conf<CoreLocation>()), options_(options) {
    if (!r_.chunked_in && r_.content_length_in >= 0) most_ = static_cast<std::uint64_t>(r_.content_length_in);
  }

  int run() {
    const std::size_t room = conf_.client_body_buffer_size.get();
    const auto expected = static_cast<std::size_t>(std::max<std::int64_t>(r_.content_length_in, 0));
    const bool fits = r_.content_length_in >= 0 && expected <= room + spare_room(room);
    // One byte more than is expected: its end may be told later than its last byte.
    const std::size_t size = fits ? expected + 1 : room;
    buffer_ = {r_.arena.bytes(size), size};
    if (options_.in_file_only) {
      if (int status = open_file()) return status;
    }
    char beyond[1024];
    for (;;) {
      if (used_ == buffer_.size()) {
        if (r_.exchange->body_complete()) break;
        if (int status = spill()) return status;
        if (buffer_.empty()) buffer_ = {r_.arena.bytes(kFallback), kFallback};
      }
      const bool full = r_.body.size == most_;
      const net::Io io = r_.exchange->read_body(r_, full ? std::span<char>(beyond) : buffer_.subspan(used_));
      if (io.kind == net::Io::Kind::eof) break;
      if (!io.ok()) return body_failure_status(r_, io);
      const std::uint64_t kept = std::min<std::uint64_t>(io.bytes, most_ - r_.body.size);
      used_ += kept;
      r_.body.size += kept;
    }
    return finish();
  }

 private:
  static constexpr std::size_t kFallback = 4096;

  // What a body may have beyond its buffer and stay in memory: what shares the buffer of the head, and a
  // quarter that is not worth a file.
  std::size_t spare_room(std::size_t room) const {
    if (r_.version >= Version::http20) return 0;
    const std::size_t head_buffer = r_.conf<CoreServer>().client_header_buffer_size.get();
    return room / 4 + (r_.head_size < head_buffer ? head_buffer - r_.head_size : 0);
  }

  int open_file() {
    if (r_.body.in_file()) return 0;
    const Status made = r_.body.file.create(conf_.client_body_temp_path.get());
    if (made) {
      log::write(options_.in_file_only ? log::Level::notice : log::Level::warn, r_.logger,
                 "a client request body is buffered to a temporary file {}", r_.body.file.path());
      if (conf_.client_body_in_file_only.get() == BodyInFile::on) r_.body.file.keep();
      return 0;
    }
    log::crit(r_.logger, "{}", made.error().text);
    return 500;
  }

  int spill() {
    if (used_ == 0) return 0;
    if (int status = open_file()) return status;
    if (const Status written = append_to(r_, r_.body.file, {buffer_.data(), used_}); !written) {
      log::crit(r_.logger, "{}", written.error().text);
      return 500;
    }
    used_ = 0;
    return 0;
  }

  int finish() {
    if (r_.body.in_file()) {
      if (int status = spill()) return status;
    } else if (used_ > 0) {
      r_.body.parts.push_back({buffer_.data(), used_});
    }
    r_.body.state = RequestBody::State::read;
    return 0;
  }

  Request& r_;
  const CoreLocation& conf_;
  ReadBodyOptions options_;
  // A Content-Length that was lowered since the head came cuts the body short; what the client sends beyond
  // it is dropped, and is no next request.
  std::uint64_t most_ = ~std::uint64_t{0};
  std::span<char> buffer_;
  std::size_t used_ = 0;
};

}  // namespace

std::vector<Piece> RequestBody::pieces() const {
  std::vector<Piece> out;
  if (const TempFile* stored_in = stored()) {
    if (stored_in->size() > 0) out.push_back(Piece::file(stored_in->fd(), 0, stored_in->size()));
    return out;
  }
  for (std::string_view part : parts) out.push_back(Piece::memory(part));
  return out;
}

std::string_view RequestBody::text(Request& r) {
  if (parts.empty()) return {};
  if (parts.size() > 1) {
    char* all = r.arena.bytes(size);
    char* p = all;
    for (std::string_view part : parts) p = std::copy(part.begin(), part.end(), p);
    parts = {{all, size}};
  }
  return parts[0];
}

bool expects_continue(const Request& r) {
  const HeaderField* field = r.in.find(HeaderId::expect);
  return field != nullptr && equals_nocase(field->value, "100-continue");
}

int read_body(Request& request, ReadBodyOptions options) {
  Request& r = *request.main;
  if (request.is_sub()) return 0;  // it was given its body when it was made
  if (r.body.state == RequestBody::State::discarded || r.body.state == RequestBody::State::read) return 0;
  if (r.exchange == nullptr) {
    r.body.state = RequestBody::State::read;
    return 0;
  }
  const auto& core = request.conf<CoreLocation>();
  if (core.client_body_in_file_only.get() != BodyInFile::off) options.in_file_only = true;
  const bool has_none = !r.chunked_in && r.content_length_in < 0;
  if (has_none || (!r.chunked_in && r.content_length_in == 0 && !options.in_file_only)) {
    if (expects_continue(r)) {  // there is nothing to send, but the client waits
      char none;
      (void)r.exchange->read_body(r, {&none, 1});
    }
    r.body.state = RequestBody::State::read;
    return 0;
  }
  r.body.state = RequestBody::State::reading;
  const int status = BodyReader(r, options).run();
  if (status != 0) r.keepalive = false;
  return status;
}

namespace {

// What has come already is dropped here; the rest is the connection's business after the response.
[[gnu::noinline]] bool drop_what_came(Request& r) {
  char scratch[4096];
  for (;;) {
    const net::Io io = r.exchange->try_read_body(r, scratch);
    if (io.kind == net::Io::Kind::eof) return true;
    if (io.kind == net::Io::Kind::again) return true;
    if (!io.ok()) return io.error == EFBIG;  // a body that nobody reads may be of any size
  }
}

}  // namespace

bool discard_body(Request& r) {
  if (r.is_sub()) return true;  // the client's is its parent's
  if (r.exchange == nullptr || r.body.state == RequestBody::State::read) return true;
  r.body.state = RequestBody::State::discarded;
  return r.exchange->body_complete() || drop_what_came(r);
}

void set_body(Request& r, std::string_view bytes) {
  r.body.parts.clear();
  r.body.file.close();
  if (!bytes.empty()) r.body.parts.push_back(r.arena.copy(bytes));
  r.body.size = bytes.size();
  r.body.state = RequestBody::State::read;
  r.content_length_in = static_cast<std::int64_t>(bytes.size());
  r.chunked_in = false;
  r.in.set(HeaderId::content_length, r.arena.copy(std::to_string(bytes.size())));
}

}  // namespace mp::http
