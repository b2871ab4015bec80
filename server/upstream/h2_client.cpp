#include "upstream/h2_client.hpp"

#include <algorithm>
#include <iterator>
#include <new>
#include <utility>

#include <fmt/core.h>

#include "base/log.hpp"
#include "fiber/scheduler.hpp"
#include "upstream/h2_exchange.hpp"

namespace mp::upstream {
namespace {

constexpr std::uint32_t kStreamWindow = 256 * 1024;  // what one slow client makes this server keep
constexpr std::size_t kMostHeld = 256 * 1024;        // of a head whose end has not come

H2Exchange* exchange_of(nghttp2_session* engine, std::int32_t id) {
  return static_cast<H2Exchange*>(nghttp2_session_get_stream_user_data(engine, id));
}

std::string_view text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace

struct H2ClientCallbacks {
  static H2Client& client(void* user) { return *static_cast<H2Client*>(user); }

  static int frame_came(nghttp2_session* engine, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type == NGHTTP2_GOAWAY) {
      H2Client& c = client(user);
      c.leaving_ = true;
      c.goaway_error_ = frame->goaway.error_code;
      c.leave_pool();
      return 0;
    }
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
      client(user).was_reset(frame->hd.stream_id, frame->rst_stream.error_code);
      return 0;
    }
    H2Exchange* exchange = exchange_of(engine, frame->hd.stream_id);
    if (exchange == nullptr) return 0;
    const bool ended = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (frame->hd.type == NGHTTP2_HEADERS) {
      client(user).payload_bytes_ += frame->hd.length;
      exchange->head_complete(ended);
    } else if (frame->hd.type == NGHTTP2_DATA && ended) {
      exchange->input_ended();
    }
    return 0;
  }

  static int body_came(nghttp2_session* engine, std::uint8_t, std::int32_t id, const std::uint8_t* data,
                       std::size_t size, void* user) {
    nghttp2_session_consume_connection(engine, size);
    client(user).payload_bytes_ += size;
    if (H2Exchange* exchange = exchange_of(engine, id)) exchange->body(text(data, size));
    return 0;
  }

  static const nghttp2_session_callbacks* table();
  static const nghttp2_option* options();
};

const nghttp2_session_callbacks* H2ClientCallbacks::table() {
  static const nghttp2_session_callbacks* const made = [] {
    nghttp2_session_callbacks* c = nullptr;
    if (nghttp2_session_callbacks_new(&c) != 0) throw std::bad_alloc();
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, frame_came);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, body_came);
    nghttp2_session_callbacks_set_on_header_callback(
        c, [](nghttp2_session* engine, const nghttp2_frame* frame, const std::uint8_t* name,
              std::size_t name_size, const std::uint8_t* value, std::size_t value_size, std::uint8_t, void*) {
          if (H2Exchange* exchange = exchange_of(engine, frame->hd.stream_id)) {
            exchange->field(text(name, name_size), text(value, value_size));
          }
          return 0;
        });
    // A field that must not be makes the whole response malformed.
    nghttp2_session_callbacks_set_on_invalid_header_callback(
        c,
        [](nghttp2_session*, const nghttp2_frame*, const std::uint8_t*, std::size_t, const std::uint8_t*,
           std::size_t, std::uint8_t, void*) -> int { return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; });
    nghttp2_session_callbacks_set_on_stream_close_callback(
        c, [](nghttp2_session* engine, std::int32_t id, std::uint32_t error, void*) {
          if (H2Exchange* exchange = exchange_of(engine, id)) exchange->closed(error);
          return 0;
        });
    nghttp2_session_callbacks_set_error_callback2(
        c, [](nghttp2_session*, int, const char* message, std::size_t size, void* user) {
          std::string& mistake = client(user).mistake_;
          constexpr std::size_t kMost = 200;
          mistake.assign(message, std::min(size, kMost));
          for (char& letter : mistake) {
            if (letter < ' ' || letter > '~') letter = '.';
          }
          return 0;
        });
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(
        c, [](nghttp2_session*, const nghttp2_frame* frame, int error, void* user) {
          std::string& mistake = client(user).mistake_;
          if (mistake.empty())
            mistake = fmt::format("frame of type {}: {}", frame->hd.type, nghttp2_strerror(error));
          return 0;
        });
    nghttp2_session_callbacks_set_send_data_callback(
        c, [](nghttp2_session* engine, nghttp2_frame* frame, const std::uint8_t* head, std::size_t size,
              nghttp2_data_source*, void* user) {
          H2Exchange* exchange = exchange_of(engine, frame->hd.stream_id);
          return client(user).send_data([&](proto::OutputBuffer& out) {
            return exchange != nullptr && exchange->take(head, size, out);
          });
        });
    return c;
  }();
  return made;
}

const nghttp2_option* H2ClientCallbacks::options() {
  static const nghttp2_option* const made = [] {
    nghttp2_option* o = nullptr;
    if (nghttp2_option_new(&o) != 0) throw std::bad_alloc();
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_no_closed_streams(o, 1);
    nghttp2_option_set_max_settings(o, 32);
    nghttp2_option_set_max_outbound_ack(o, 1000);
    nghttp2_option_set_max_continuations(o, 1000);
    nghttp2_option_set_max_send_header_block_length(o, 1024 * 1024);
    return o;
  }();
  return made;
}

// ---- life

H2Client::H2Client(LinkPtr link, H2Pool* pool, std::string_view key, const void* owner,
                   const H2ClientLimits& limits)
    : H2Engine(*link, kMostHeld),
      link_(std::move(link)),
      pool_(pool),
      key_(key),
      owner_(owner),
      limits_(limits) {
  if (nghttp2_session_client_new2(&engine_, H2ClientCallbacks::table(), this, H2ClientCallbacks::options()) !=
      0) {
    throw std::bad_alloc();
  }
  const nghttp2_settings_entry entries[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                                            {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindow}};
  nghttp2_submit_settings(engine_, NGHTTP2_FLAG_NONE, entries, std::size(entries));
  nghttp2_session_set_local_window_size(engine_, NGHTTP2_FLAG_NONE, 0, proto::kMaxH2Window);
  link_->watcher = this;
}

std::shared_ptr<H2Client> H2Client::start(LinkPtr link, H2Pool* pool, std::string_view key, const void* owner,
                                          const H2ClientLimits& limits) {
  std::shared_ptr<H2Client> made(new H2Client(std::move(link), pool, key, owner, limits));
  if (pool != nullptr) pool->add(*made);
  made->self_ = made;
  made->schedule();
  return made;
}

H2Client::~H2Client() {
  leave_pool();
}

std::string_view H2Client::scheme() const {
  return link_->layer() != nullptr ? "https" : "http";
}

bool H2Client::has_room() const {
  if (leaving_ || dead() || requests_ >= limits_.requests) return false;
  if (fiber::now() - link_->opened > limits_.age) return false;
  if (link_->hangup) return false;
  const std::uint32_t most =
      nghttp2_session_get_remote_settings(engine_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
  return exchanges_.size() < most && nghttp2_session_check_request_allowed(engine_) != 0;
}

LinkPtr H2Client::open() {
  if (dead()) return nullptr;
  auto link = std::make_unique<Link>(link_->address(), key_, owner_);
  link->opened = link_->opened;
  link->cached = requests_ > 0;
  ++requests_;
  auto exchange = std::make_unique<H2Exchange>(self_, *link);
  exchanges_.push_back(exchange.get());
  link->exchange = exchange.get();
  link->adopt_layer(std::move(exchange));
  disarm();
  return link;
}

void H2Client::ended(H2Exchange& exchange) {
  std::erase(exchanges_, &exchange);
  schedule();
}

void H2Client::was_reset(std::int32_t id, std::uint32_t error) {
  for (H2Exchange* exchange : exchanges_) {
    if (exchange->last_id() == id) return exchange->reset(error);
  }
}

void H2Client::leave_pool() {
  if (pool_ != nullptr) pool_->remove(*this);
  pool_ = nullptr;
}

// ---- the pump's questions

std::span<char> H2Client::scratch() {
  constexpr std::size_t kSize = 32 * 1024;
  if (scratch_ == nullptr) scratch_.reset(new char[kSize]);
  return {scratch_.get(), kSize};
}

void H2Client::input_came(std::size_t bytes) {
  total_bytes_ += bytes;
  constexpr std::uint64_t kFree = 256 * 1024;
  if (total_bytes_ / 8 <= payload_bytes_ + kFree) return;
  mistake_ = "flood of frames that carry nothing";
  break_off();
}

void H2Client::input_failed(int error) {
  if (mistake_.empty()) mistake_ = nghttp2_strerror(error);
}
void H2Client::socket_failed(const char*, const net::Io&) {}

void H2Client::lost() {
  leaving_ = true;
  leave_pool();
  const std::vector<H2Exchange*> all = exchanges_;
  for (H2Exchange* exchange : all) exchange->broken();
}

// After a mistake of the server's, once it was told: nothing more will come of it.
bool H2Client::engine_done() const {
  return nghttp2_session_want_read(engine_) == 0 && nghttp2_session_want_write(engine_) == 0;
}

void H2Client::say_goodbye() {
  if (exchanges_.empty()) return;
  if (mistake_.empty() && !leaving_) mistake_ = "frames against the rules";
  break_off();
}

bool H2Client::finished() const {
  if (dead() || (output_empty() && engine_done())) return true;
  if (!exchanges_.empty() || !output_empty()) return false;
  return nghttp2_session_want_write(engine_) == 0 && (pool_ == nullptr || leaving_);
}

void H2Client::settled() {
  scratch_.reset();
  const std::shared_ptr<H2Client> keep = self_;
  if (!exchanges_.empty()) {
    if (!dead() && link_->has_input()) schedule();
    return;
  }
  const bool over = finished() || pool_ == nullptr || requests_ >= limits_.requests ||
                    pool_->idle() > limits_.idle_connections;
  if (!over) {
    fiber::here()->arm(*this, fiber::now() + limits_.idle);
    return;
  }
  leave_pool();
  self_.reset();
}

// Its time without a request is over.
void H2Client::expired() {
  if (!exchanges_.empty()) return;
  leaving_ = true;
  leave_pool();
  if (pumping()) return;  // its end will find that everything is over
  const std::shared_ptr<H2Client> last = std::move(self_);
}

// ---- H2Pool

H2Pool::~H2Pool() {
  clear();
}

void H2Pool::add(H2Client& client) {
  clients_.push_back(&client);
  opened_.notify_all();
}

void H2Pool::remove(H2Client& client) {
  std::erase(clients_, &client);
}

std::size_t H2Pool::idle() const {
  return static_cast<std::size_t>(std::count_if(clients_.begin(), clients_.end(),
                                                [](const H2Client* c) { return c->exchanges_.empty(); }));
}

LinkPtr H2Pool::take(std::string_view key, const void* owner, fiber::Msec deadline) {
  for (;;) {
    for (H2Client* client : clients_) {
      if (client->key() != key || (owner != nullptr && client->owner() != owner)) continue;
      if (client->has_room()) return client->open();
    }
    if (std::find(opening_.begin(), opening_.end(), key) == opening_.end()) return nullptr;
    if (!opened_.wait(deadline)) return nullptr;
  }
}

H2Pool::Opening::Opening(H2Pool& pool, std::string_view key)
    : pool_(pool), entry_(pool.opening_.insert(pool.opening_.end(), std::string(key))) {}

H2Pool::Opening::~Opening() {
  pool_.opening_.erase(entry_);
  pool_.opened_.notify_all();
}

void H2Pool::clear() {
  const std::vector<H2Client*> all = std::exchange(clients_, {});
  if (fiber::here() == nullptr) return;  // the process ends
  for (H2Client* client : all) {
    client->pool_ = nullptr;
    if (client->exchanges_.empty() && !client->pumping()) {
      const std::shared_ptr<H2Client> last = std::move(client->self_);
    }
  }
}

}  // namespace mp::upstream
