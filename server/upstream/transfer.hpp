// Transfer: passes one request on to an upstream server and its response back: chooses servers, connects,
// sends, tries again elsewhere, reads the head, turns it into the response, and pumps the body. On the stack
// of the request's fiber; everything it holds is given back when it goes out of scope, whatever the reason.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "fiber/fiber.hpp"
#include "http/request.hpp"
#include "upstream/balancer.hpp"
#include "upstream/cache/use.hpp"
#include "upstream/dialect.hpp"
#include "upstream/history.hpp"
#include "upstream/pool.hpp"
#include "upstream/transfer_conf.hpp"

namespace mp::http {
class DirectBody;
}

namespace mp::upstream {

struct Upstream;
struct UpstreamSsl;
class StickySession;

// Where a request is to go.
struct Destination {
  Upstream* upstream = nullptr;  // known when the configuration was read
  // Otherwise what a variable said:
  std::string_view host;
  std::uint16_t port = 0;
  bool no_port = false;
  std::optional<net::Address> address;  // the host, when it is one
  const UpstreamSsl* ssl = nullptr;     // null: plain
  std::string_view ssl_name;            // the host of the URL, to be asked for and checked
  std::string_view ssl_alpn;            // in wire format
};

class Transfer {
 public:
  // `owner` tells apart whose connections a `keepalive N local` pool keeps: one a location.
  Transfer(http::Request& request, const TransferConf& conf, Dialect& dialect, const Destination& destination,
           const void* owner);
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
  ~Transfer();

  // Serves the request completely, or says how it ends.
  http::Step run();

 private:
  friend class BodyPump;
  class ClientWatch;

  // ---- tries: transfer.cpp
  inline std::optional<http::Step> find_servers();
  std::optional<http::Step> resolve_host();
  void limit_tries();
  std::optional<http::Step> try_servers();
  inline std::uint32_t attempt();
  std::uint32_t ask(bool kept);
  inline std::uint32_t pick();
  std::uint32_t connect(bool kept);
  std::optional<net::Address> local_address();
  std::string_view identity_with(bool tls, const net::Address* local);
  [[gnu::cold]] bool link_was_stale() const;
  bool may_repeat() const;
  bool untouched() const;
  std::uint32_t open_link(std::string_view identity, const net::Address* local, bool tls);
  std::uint32_t start_tls();
  std::uint32_t open_stream(std::string_view identity, const net::Address* local, bool tls, bool kept);
  [[gnu::cold]] std::optional<int> after_failure(std::uint32_t failure);
  bool may_try_again(std::uint32_t failure) const;
  void describe_target();
  void settle_try();
  void release(Release outcome);
  bool sending() const { return apart_ && request_sent_ && !body_sent_; }
  void drop_link();
  [[gnu::cold]] void log_early_end();
  [[gnu::cold]] void log_io(const net::Io& io, const char* call);

  // ---- the request: transfer_send.cpp
  int take_body();  // 0, or the status to end with
  int read_ahead();
  std::uint32_t send_request();
  std::uint32_t send_stored();
  std::uint32_t send_stored_body();
  void send_apart(void (Transfer::*send)());
  std::uint32_t send_bytes(std::span<iovec> pieces, bool more_follows);
  std::uint32_t send_file(int fd, off_t offset, std::size_t size);
  std::uint32_t send_file_by_reading(int fd, off_t offset, std::size_t size);
  std::uint32_t send_framed(std::string_view head);
  std::uint32_t send_frame(std::string_view head, std::string_view bytes, bool more_follows);
  std::uint32_t wait_to_send();
  bool answered_early();
  [[gnu::cold]] bool has_last_words(std::uint32_t send_failure);
  void run_stored();
  void run_stream();
  std::uint32_t move_stream(http::DirectBody& body);
  std::uint32_t write_streamed(std::string_view head, std::string_view bytes, bool last);
  void body_finished();

  // ---- the response's head: transfer_reply.cpp
  inline void begin_reply();
  std::uint32_t read_head();
  std::uint32_t wait_for_head();
  void pass_hints();
  std::uint32_t head_complete(std::size_t size);
  void note_fields();
  [[gnu::cold]] void drop_duplicates();
  [[gnu::cold]] void obey_controls();
  static std::uint32_t status_failure(int status);
  std::uint32_t judge_status() const;
  bool wants_redirect() const;
  std::optional<http::Step> intercept();
  std::optional<http::Step> accel_redirect();
  void copy_head();
  void copy_field(const http::HeaderField& field);
  void copy_redirect(const http::HeaderField& field, std::size_t prefix);

  // ---- responses that were kept: transfer_cache.cpp
  std::optional<http::Step> open_cache();
  void begin_cache();
  bool take_kept_head();
  http::Step serve_kept();
  http::Step send_kept();
  std::optional<http::Step> serve_stale(std::uint32_t failure);
  std::optional<http::Step> serve_revalidated();
  bool keepable() const { return cache_ && cache_->keepable(); }
  bool keeps_response() const { return cache_ && cache_->keeping(); }

  // ---- and its body: transfer_body.cpp
  http::Step deliver();
  // `what` came of the bytes behind the head, without framing they are `first`. Not inline: what a request
  // that waits for its server has on its stack stays small.
  [[gnu::noinline]] http::Step pump(Dialect::Body what, std::string_view first);
  void add_trailers();
  void keep_or_close(bool complete);
  http::Step tunnel();  // tunnel.cpp

  http::Request& r_;
  const TransferConf& conf_;
  Dialect& dialect_;
  const Destination& destination_;
  const void* owner_;
  History& history_;

  Upstream* upstream_ = nullptr;  // null: addresses found while running
  Balancer* balancer_ = nullptr;
  StickySession* sticky_ = nullptr;
  LinkPtr link_;
  Try* try_ = nullptr;
  bool picked_ = false;        // the balancer waits for release()
  std::uint64_t started_ = 0;  // of all tries
  std::uint64_t try_started_ = 0;

  std::string_view request_head_;
  bool streamed_ = false;      // the client's body goes out as it comes
  bool request_sent_ = false;  // at least begun
  bool body_sent_ = false;     // completely
  bool apart_ = false;         // ... by a fiber of its own, while the response is read
  bool early_answer_ = false;  // the response came before the request was sent completely
  std::string_view ahead_;     // of a streamed body, what had come before it was passed on
  int body_failure_ = 0;       // status, when the client's part of the body broke off
  std::uint32_t send_failure_ = 0;
  fiber::Ticket reader_;  // the wait for the head, to be woken by the body's fiber
  fiber::Msec head_deadline_ = fiber::kNever;

  Reply* reply_ = nullptr;
  std::uint32_t noted_ = 0;  // which of the fields that note_fields() looks for have come
  char* buffer_ = nullptr;   // head and the first of the body
  std::size_t buffered_ = 0;
  std::size_t head_size_ = 0;
  std::size_t hints_size_ = 0;
  bool buffering_ = true;

  struct EndUse {
    void operator()(CacheUse* use) const { use->~CacheUse(); }
  };
  std::unique_ptr<CacheUse, EndUse> cache_;  // in the request's arena; null: no cache is asked
  bool kept_ = false;                        // reply_ comes out of the cache

  std::optional<fiber::Group> sender_;  // sends the body apart; last: ended before anything it uses goes away
};

}  // namespace mp::upstream
