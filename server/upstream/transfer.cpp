#include "upstream/transfer.hpp"

#include <cerrno>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/put.hpp"
#include "fiber/scheduler.hpp"
#include "http/core_conf.hpp"
#include "upstream/h2_client.hpp"
#include "upstream/h2_exchange.hpp"
#include "upstream/resolver_conf.hpp"
#include "upstream/round_robin.hpp"
#include "upstream/ssl.hpp"
#include "upstream/upstream.hpp"

namespace mp::upstream {

using http::Request;
using http::Step;

namespace {

// A server that is not there is an error; anything else that keeps a connection from being made is worse.
log::Level level_of(int connect_error) {
  switch (connect_error) {
    case ECONNREFUSED:
    case EAGAIN:  // a Unix socket whose queue is full
    case ECONNRESET:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
      return log::Level::error;
    default:
      return log::Level::crit;
  }
}

}  // namespace

// Ends the request when the client goes away, while nobody reads from its connection.
class Transfer::ClientWatch final : public http::HangupListener {
 public:
  ClientWatch(Transfer& transfer, bool wanted) : t_(transfer) {
    if (!wanted) return;
    listen(t_.r_.connection);
    if (t_.r_.connection.socket.hangup) client_gone();
  }

  [[gnu::cold, gnu::noinline]] void client_gone() override {
    if (t_.r_.main->fiber == nullptr || fiber::cancelled(*t_.r_.main->fiber)) return;
    const CacheInfo* cache = t_.r_.find_ctx<CacheInfo>();
    if (cache != nullptr && cache->cacheable && t_.link_ != nullptr) {
      log::info(t_.r_.logger, "epoll_wait() reported that client prematurely closed connection");
      return;  // others will want the response
    }
    log::info(t_.r_.logger, "epoll_wait() reported that client prematurely closed connection{}",
              t_.link_ != nullptr ? ", so upstream connection is closed too" : "");
    fiber::cancel(*t_.r_.main->fiber);
  }

 private:
  Transfer& t_;
};

Transfer::Transfer(Request& request, const TransferConf& conf, Dialect& dialect,
                   const Destination& destination, const void* owner)
    : r_(request),
      conf_(conf),
      dialect_(dialect),
      destination_(destination),
      owner_(owner),
      history_(request.ctx<History>()),
      buffering_(conf.buffering) {
  r_.upstream_text = {};
}

Transfer::~Transfer() {
  history_.ssl = nullptr;
  settle_try();
  release(Release::good);
  r_.connection.doing = " while sending to client";
}

Step Transfer::run() {
  const ClientWatch watch(*this, !conf_.ignore_client_abort && !conf_.store->on);
  if (CacheInfo* const before = r_.find_ctx<CacheInfo>()) *before = {.background = before->background};
  if (const int status = take_body()) return Step::finish(status);
  if (conf_.cache.choice->is_on()) {
    if (const auto end = open_cache()) return *end;
  }
  request_head_ = dialect_.write_request(r_, streamed_);
  if (request_head_.data() == nullptr) return Step::finish(500);
  r_.connection.doing = " while connecting to upstream";
  if (history_.first != nullptr) history_.add_separator(r_);
  if (const auto end = find_servers()) return *end;
  started_ = fiber::now();
  if (const auto end = try_servers()) return *end;
  if (cache_) begin_cache();
  if (wants_redirect()) {
    if (const auto end = accel_redirect()) return *end;
  }
  copy_head();
  return deliver();
}

[[gnu::noinline]] void Transfer::begin_cache() {
  if (!buffering_ || reply_->upgrade) cache_->let_go();
  cache_->begin(*reply_, dialect_.head_text());
}

// ---- where to

std::optional<Step> Transfer::find_servers() {
  upstream_ = destination_.upstream;
  if (upstream_ == nullptr) {
    upstream_ = r_.conf<UpstreamMain>().find(destination_.host, destination_.port, destination_.no_port);
  }
  history_.upstream = upstream_;
  if (upstream_ == nullptr) return resolve_host();
  if (upstream_->method != nullptr) {
    balancer_ = upstream_->method->make(r_, *upstream_);
    if (balancer_ == nullptr) return Step::finish(500);
  } else if (upstream_->sticky == nullptr && OnePeer::fits(*upstream_->peers)) {
    balancer_ = r_.arena.make<OnePeer>(*upstream_->peers);
  } else {
    balancer_ = r_.arena.make<RoundRobin>(r_, *upstream_->peers);
  }
  if (upstream_->sticky != nullptr) sticky_ = upstream_->sticky->make(r_);
  limit_tries();
  return std::nullopt;
}

void Transfer::limit_tries() {
  const auto most = static_cast<unsigned>(conf_.next_upstream_tries.get());
  balancer_->most_tries = most;
  if (most != 0 && balancer_->tries > most) balancer_->tries = most;
}

// A server that only this request knows.
std::optional<Step> Transfer::resolve_host() {
  const net::Address literal = destination_.address.value_or(net::Address());
  if (destination_.port == 0 && !literal.is_unix()) {
    log::error(r_.logger, "no port in upstream \"{}\"", destination_.host);
    return Step::finish(500);
  }
  auto* group = r_.arena.make<PeerGroup>();
  group->name = destination_.host;
  auto add = [&](net::Address address) {
    auto* peer = r_.arena.make<Peer>();
    if (!address.is_unix()) address.set_port(destination_.port);
    peer->set_address(address);
    group->primary.append(*peer);
  };
  if (literal.specified()) {
    add(literal);
  } else {
    const auto& conf = r_.conf<ResolverConf>();
    if (conf.resolver.get() == nullptr) {
      log::error(r_.logger, "no resolver defined to resolve {}", destination_.host);
      return Step::finish(502);
    }
    const auto deadline = fiber::now() + static_cast<fiber::Msec>(conf.timeout.get());
    const auto addresses = conf.resolver.get()->resolve(destination_.host, deadline);
    if (!addresses) {
      log::error(r_.logger, "{}", addresses.error().text);
      return Step::finish(502);
    }
    for (const net::Address& address : *addresses) add(address);
  }
  group->update_single();
  balancer_ = r_.arena.make<RoundRobin>(r_, *group);
  limit_tries();
  return std::nullopt;
}

// ---- tries

// Until a server has answered, or the request is at its end.
std::optional<Step> Transfer::try_servers() {
  for (;;) {
    std::uint32_t failure = attempt();
    if (failure == kNoFailure) [[likely]] {
      if (reply_->status < 300) [[likely]]
        return std::nullopt;
      if (auto end = serve_revalidated()) return end;
      failure = judge_status();
      if (failure == kNoFailure) {
        const std::uint32_t bit = status_failure(reply_->status);
        if (bit != kNoFailure) {
          if (auto end = serve_stale(bit)) return end;
        }
        return intercept();
      }
    }
    if (body_failure_ != 0) return Step::finish(body_failure_);
    if (const auto status = after_failure(failure)) {
      if (auto end = serve_stale(failure)) return end;
      if (cache_) cache_->remember(*status, nullptr);
      return Step::finish(*status);
    }
  }
}

std::uint32_t Transfer::attempt() {
  settle_try();
  try_ = &history_.add(r_);
  try_started_ = fiber::now();
  r_.connection.doing = " while connecting to upstream";
  if (const auto failure = pick()) return failure;
  if (balancer_->recreate_request) [[unlikely]] {
    balancer_->recreate_request = false;
    request_head_ = dialect_.write_request(r_, streamed_);
    describe_target();
  }
  const std::uint32_t failure = ask(true);
  if (failure != kFailedError || !link_was_stale()) [[likely]]
    return failure;
  sender_.reset();
  drop_link();
  return ask(false);
}

// The server may close a kept connection at any time. When that is what happened, and nothing was answered,
// the request is as good as not sent: a new connection to the same server is no other try. Not so for
// requests that must not be repeated: those may have been served.
bool Transfer::link_was_stale() const {
  if (link_ == nullptr || !link_->cached || link_->bytes_read != link_->read_before || streamed_ ||
      body_failure_ != 0) {
    return false;
  }
  if (link_->exchange == nullptr) return may_repeat();
  return untouched() || (link_->exchange->lost() && may_repeat());
}

// Sends the request on one connection, a kept one when `kept`, and reads the head of the answer.
std::uint32_t Transfer::ask(bool kept) {
  request_sent_ = body_sent_ = early_answer_ = apart_ = false;
  head_deadline_ = fiber::kNever;
  r_.connection.doing = " while connecting to upstream";
  if (const auto failure = connect(kept)) return failure;
  try_->connect_time = static_cast<std::int64_t>(fiber::now() - try_started_);
  r_.connection.doing = " while sending request to upstream";
  if (const auto failure = send_request()) return failure;
  r_.connection.doing = " while reading response header from upstream";
  return read_head();
}

std::uint32_t Transfer::pick() {
  balancer_->header_time = -1;
  if (sticky_ != nullptr) balancer_->sid_hint = sticky_->hint();
  const Pick result = balancer_->pick(r_);
  try_->peer = balancer_->target.name;
  describe_target();
  switch (result) {
    case Pick::ok:
      picked_ = true;
      if (sticky_ != nullptr) sticky_->picked(balancer_->target.sid);
      return kNoFailure;
    case Pick::busy:
      log::error(r_.logger, "no live upstreams");
      return kNoLive;
    case Pick::declined:
      return kFailedError;
    case Pick::error:
      break;
  }
  body_failure_ = balancer_->error_status;
  return kFailedError;
}

// scheme, server, and URI: `upstream: "http://127.0.0.1:81/x"` in the log.
void Transfer::describe_target() {
  const Target& target = balancer_->target;
  const bool is_unix = target.address != nullptr && target.address->is_unix();
  const std::string_view scheme = dialect_.scheme();
  const std::string_view uri = dialect_.uri();
  char* const text = r_.arena.bytes(scheme.size() + target.name.size() + 1 + uri.size());
  char* p = put(put(text, scheme), target.name);
  if (is_unix) *p++ = ':';
  p = put(p, uri);
  r_.upstream_text = {text, static_cast<std::size_t>(p - text)};
}

// What to connect from, when that was said.
std::optional<net::Address> Transfer::local_address() {
  if (balancer_->target.bind != nullptr) return *balancer_->target.bind;
  const std::string_view text = conf_.bind->address.evaluate(r_);
  auto local = net::parse_ip_port(text);
  if (!local && !text.empty()) log::error(r_.logger, "invalid local address \"{}\"", text);
  if (local && !conf_.bind->transparent && conf_.bind->address.source().find(':') == std::string_view::npos) {
    local->set_port(0);
  }
  return local;
}

// What a connection must have in common with another to be used in its place.
[[gnu::noinline]] std::string_view Transfer::identity_with(bool tls, const net::Address* local) {
  const Target& target = balancer_->target;
  std::string_view identity = target.identity;
  if (tls) {
    const std::string_view host = target.tls_name.empty() ? destination_.ssl_name : target.tls_name;
    identity = r_.arena.concat(identity, "|", destination_.ssl->identity(r_, host, destination_.ssl_alpn));
  }
  if (local != nullptr) identity = r_.arena.concat(identity, "|", local->text_with_port(r_.arena));
  return identity;
}

std::uint32_t Transfer::connect(bool kept) {
  const Target& target = balancer_->target;
  std::optional<net::Address> local;
  if (target.bind != nullptr || !conf_.bind->address.empty()) local = local_address();
  if (target.tls == true && destination_.ssl == nullptr) [[unlikely]] {
    log::error(r_.logger, "TLS is wanted for \"{}\", but the location passes requests on without",
               target.name);
    body_failure_ = 500;
    return kFailedError;
  }
  const bool tls = destination_.ssl != nullptr && target.tls != false;
  const std::string_view identity =
      tls || local ? identity_with(tls, local ? &*local : nullptr) : target.identity;
  if (dialect_.over_http2()) [[unlikely]] {
    if (const auto failure = open_stream(identity, local ? &*local : nullptr, tls, kept)) return failure;
  } else {
    if (kept && upstream_ != nullptr && upstream_->is_block) {
      link_ = upstream_->pool.take(*target.address, identity, upstream_->keepalive_local ? owner_ : nullptr);
      if (link_ != nullptr) {
        log::debug(r_.logger, "get keepalive peer: using connection {:X}",
                   reinterpret_cast<std::uintptr_t>(link_.get()));
      }
    }
    if (link_ == nullptr) [[unlikely]] {
      if (const auto failure = open_link(identity, local ? &*local : nullptr, tls)) return failure;
    }
  }
  if (tls) [[unlikely]] {
    history_.ssl = UpstreamSsl::of(link_->exchange != nullptr ? link_->exchange->carrier() : *link_);
  }
  ++link_->requests;
  link_->read_before = link_->bytes_read;
  link_->written_before = link_->bytes_written;
  return kNoFailure;
}

std::uint32_t Transfer::open_link(std::string_view identity, const net::Address* local, bool tls) {
  const Target& target = balancer_->target;
  LinkOptions options;
  options.bind = local;
  options.transparent = conf_.bind->transparent;
  options.keepalive = conf_.socket_keepalive;
  options.receive_buffer = conf_.socket_rcvbuf;
  options.send_buffer = conf_.socket_sndbuf;
  link_ = std::make_unique<Link>(*target.address, identity, owner_);
  const std::int64_t timeout = Target::either(target.connect_timeout, conf_.connect_timeout);
  const Status connected = link_->open(options, fiber::now() + static_cast<fiber::Msec>(timeout));
  if (!connected) {
    if (!link_->asked) body_failure_ = 500;  // no other server would help
    link_.reset();
    if (connected.error().code == kDeadlinePassed) return kFailedTimeout;
    log::write(level_of(connected.error().code), r_.logger, "{}", connected.error().text);
    return kFailedError;
  }
  return tls ? start_tls() : std::uint32_t{kNoFailure};
}

// A stream of a connection that other requests use, too, or of a new one.
std::uint32_t Transfer::open_stream(std::string_view identity, const net::Address* local, bool tls,
                                    bool kept) {
  const Target& target = balancer_->target;
  const bool shared = upstream_ != nullptr && upstream_->is_block && upstream_->keepalive > 0;
  if (!shared) {
    if (const auto failure = open_link(identity, local, tls)) return failure;
    link_ = H2Client::start(std::move(link_), nullptr, identity, owner_, {})->open();
    return kNoFailure;
  }
  H2Pool& pool = upstream_->http2;
  const std::int64_t timeout = Target::either(target.connect_timeout, conf_.connect_timeout);
  const fiber::Msec deadline = fiber::now() + static_cast<fiber::Msec>(timeout);
  const std::string key = target.address->text_with_port() + " " + std::string(identity);
  if (kept) link_ = pool.take(key, upstream_->keepalive_local ? owner_ : nullptr, deadline);
  if (link_ != nullptr) return kNoFailure;
  const H2Pool::Opening opening(pool, key);
  if (const auto failure = open_link(identity, local, tls)) return failure;
  H2ClientLimits limits;
  limits.requests = static_cast<std::uint64_t>(upstream_->keepalive_requests.get());
  limits.idle = static_cast<fiber::Msec>(upstream_->keepalive_timeout.get());
  limits.age = static_cast<fiber::Msec>(upstream_->keepalive_time.get());
  limits.idle_connections = static_cast<std::size_t>(upstream_->keepalive.get());
  link_ = H2Client::start(std::move(link_), &pool, key, owner_, limits)->open();
  return kNoFailure;
}

std::uint32_t Transfer::start_tls() {
  const Target& target = balancer_->target;
  const std::string_view host = target.tls_name.empty() ? destination_.ssl_name : target.tls_name;
  const std::int64_t timeout = Target::either(target.connect_timeout, conf_.connect_timeout);
  using Outcome = UpstreamSsl::Outcome;
  const Outcome outcome = destination_.ssl->handshake(r_, *link_, host, destination_.ssl_alpn,
                                                      fiber::now() + static_cast<fiber::Msec>(timeout));
  if (outcome == Outcome::done) return kNoFailure;
  link_.reset();
  if (outcome == Outcome::misconfigured) body_failure_ = 500;
  return outcome == Outcome::timeout ? kFailedTimeout : kFailedError;
}

// Whether a request that may have been served already can do no harm when it is sent again.
bool Transfer::may_repeat() const {
  constexpr http::MethodSet kNotIdempotent = static_cast<http::MethodSet>(http::Method::post) |
                                             static_cast<http::MethodSet>(http::Method::lock) |
                                             static_cast<http::MethodSet>(http::Method::patch);
  return !http::contains(kNotIdempotent, r_.method) || (conf_.next_upstream & kNonIdempotent) != 0;
}

// A server that says it has not looked at the request may be sent it again, whatever it is.
bool Transfer::untouched() const {
  return link_ != nullptr && link_->exchange != nullptr && link_->exchange->refused();
}

bool Transfer::may_try_again(std::uint32_t failure) const {
  if (request_sent_ && !untouched() && !may_repeat()) return false;
  if ((conf_.next_upstream & failure) != failure) return false;
  if (request_sent_ && streamed_) return false;
  const auto limit = static_cast<std::uint64_t>(conf_.next_upstream_timeout.get());
  return limit == 0 || fiber::now() - started_ < limit;
}

// The status to end with, or nothing: another try.
std::optional<int> Transfer::after_failure(std::uint32_t failure) {
  int status = 502;
  switch (failure) {
    case kFailedTimeout:
    case kHttp504:
      status = 504;
      break;
    case kHttp500:
      status = 500;
      break;
    case kHttp503:
      status = 503;
      break;
    case kHttp403:
      status = 403;
      break;
    case kHttp404:
      status = 404;
      break;
    case kHttp429:
      status = 429;
      break;
    default:
      break;
  }
  if (link_ != nullptr) try_->bytes_sent = link_->bytes_written - link_->written_before;
  release(failure == kHttp403 || failure == kHttp404 ? Release::next : Release::failed);
  if (failure == kFailedTimeout) log::error(r_.logger, log::Errno{ETIMEDOUT}, "upstream timed out");
  try_->status = status;
  balancer_->last_status = status;
  const bool again = balancer_->tries > 0 && may_try_again(failure);
  settle_try();
  if (again) sender_.reset();
  drop_link();
  if (!again) return status;
  return std::nullopt;
}

// Notes times and sizes of the present try.
void Transfer::settle_try() {
  if (try_ == nullptr || try_->response_time >= 0) return;
  try_->response_time = static_cast<std::int64_t>(fiber::now() - try_started_);
  if (link_ == nullptr) return;
  try_->bytes_sent = link_->bytes_written - link_->written_before;
  try_->bytes_received = link_->bytes_read - link_->read_before;
}

void Transfer::release(Release outcome) {
  if (!picked_) return;
  picked_ = false;
  if (sticky_ != nullptr && outcome == Release::good) sticky_->done(balancer_->target.sid);
  balancer_->response_time = static_cast<std::int64_t>(fiber::now() - try_started_);
  balancer_->release(r_, outcome);
}

// While the fiber that streams the body may still use it, the connection stays until that fiber has ended.
void Transfer::drop_link() {
  history_.ssl = nullptr;
  if (!sender_ || !sending()) link_.reset();
}

void Transfer::log_io(const net::Io& io, const char* call) {
  const log::Level level = link_was_stale() ? log::Level::info : log::Level::error;
  log::write(level, r_.logger, log::Errno{io.error}, "{} failed", call);
}

}  // namespace mp::upstream
