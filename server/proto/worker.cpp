#include "proto/worker.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.hpp"
#include "base/rarely.hpp"
#include "conf/process_conf.hpp"
#include "http/core_conf.hpp"
#include "proto/h1/connection.hpp"
#include "proto/h1/outbox.hpp"

namespace mp::proto {

// Accepts on one listening socket. When descriptors run out it pauses instead of spinning on the same error.
class Acceptor final : public fiber::Watch, private fiber::Timer {
 public:
  Acceptor(Worker& worker, const net::ListenSocket& socket, const http::AddressConf& address)
      : worker_(worker), socket_(socket), address_(address) {}

  Status start() {
    std::uint32_t events = EPOLLIN;
    if (socket_.shared) events |= EPOLLEXCLUSIVE;
    if (!add(socket_.fd, events)) return fail(system_error(errno, "epoll_ctl() failed"));
    return {};
  }

 private:
  void on_ready() override {
    // One, like nginx without multi_accept: what comes next for a connection finds it in the cache, and
    // connections spread over the workers.
    const int batch = worker_.accepts_at_once();
    const conf::ProcessWide& process = worker_.configuration().root().get<conf::ProcessWide>();
    for (int i = 0; i < batch; ++i) {
      sockaddr_storage peer;
      socklen_t size = sizeof peer;
      auto* raw = reinterpret_cast<sockaddr*>(&peer);
      const int fd = accept4(socket_.fd, raw, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) {
        accept_failed(errno, process.logger());
        return;
      }
      worker_.counters().accepted.add();
      if (worker_.connections() >= worker_.connection_limit()) {
        log::alert(process.logger(), "{} worker_connections are not enough", worker_.connection_limit());
        ::close(fd);
        continue;
      }
      worker_.counters().handled.add();
      H1Connection::start(worker_, fd, net::Address::from(raw, size), reached(fd));
    }
  }

  const http::AddressConf& reached(int fd) const {
    if (address_.covered.empty()) [[likely]]
      return address_;
    sockaddr_storage local;
    socklen_t size = sizeof local;
    auto* raw = reinterpret_cast<sockaddr*>(&local);
    if (getsockname(fd, raw, &size) == -1) return address_;
    return address_.reached_at(net::Address::from(raw, size));
  }

  void accept_failed(int error, const log::Logger& logger) {
    if (error == EAGAIN || error == EINTR) return;
    if (error == ECONNABORTED) return log::error(logger, log::Errno{error}, "accept4() failed");
    const bool exhausted = error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
    log::write(exhausted ? log::Level::crit : log::Level::alert, logger, log::Errno{error},
               "accept4() failed");
    if (exhausted) pause();
  }

  // Until then descriptors or memory may have been given back; who wants to connect waits in the queue.
  void pause() {
    constexpr fiber::Msec kPause = 500;
    remove();
    fiber::here()->arm(*this, fiber::now() + kPause);
  }

  void expired() override {
    if (!worker_.shutting_down() && !start()) pause();
  }

  Worker& worker_;
  net::ListenSocket socket_;
  const http::AddressConf& address_;
};

Worker::Worker(conf::Configuration& configuration, std::span<const net::ListenSocket> sockets,
               SharedCounters::Slot& counters)
    : configuration_(configuration),
      sockets_(sockets.begin(), sockets.end()),
      counters_(counters),
      outbox_(std::make_unique_for_overwrite<Outbox>()) {
  const conf::Sets& root = configuration.root();
  turns_.waiting.reserve(fiber::Scheduler::Options().max_events);  // as many can become ready in one pass
  limit_ = 512;
  if (root[conf::Level::events] != nullptr) {
    const auto& events = root.get<conf::EventsConf>();
    limit_ = static_cast<std::size_t>(events.worker_connections.get());
    if (events.multi_accept) accepts_at_once_ = 64;
  }
}

Worker::~Worker() = default;

Status Worker::start_accepting() {
  if (shutting_down_) return {};  // told to go while init_worker_by_lua was waiting
  if (configuration_.root()[conf::Level::main] == nullptr) return {};  // no http {}
  const auto& addresses = configuration_.root().get<http::CoreMain>().addresses;
  for (const net::ListenSocket& socket : sockets_) {
    for (const auto& address : addresses->all) {
      if (address->spec != socket.spec) continue;
      acceptors_.push_back(std::make_unique<Acceptor>(*this, socket, *address));
      TRY(acceptors_.back()->start());
    }
  }
  return {};
}

std::span<char> Worker::scratch(std::size_t size) {
  if (scratch_size_ < size) [[unlikely]] {
    rarely();
    scratch_.reset(new char[size]);
    scratch_size_ = size;
  }
  return {scratch_.get(), size};
}

void Worker::shut_down_gracefully() {
  shutting_down_ = true;
  acceptors_.clear();
  for (WorkerConnection* c = list_; c != nullptr;) {
    WorkerConnection* next = c->next_;
    c->close_if_idle();
    c = next;
  }
}

void Worker::cancel_all() {
  for (WorkerConnection* c = list_; c != nullptr;) {
    WorkerConnection* next = c->next_;
    c->cancel();
    c = next;
  }
}

void Worker::enter(WorkerConnection& c) {
  c.next_ = list_;
  if (list_ != nullptr) list_->previous_ = &c;
  list_ = &c;
  ++connections_;
  counters_.active.add();
}

void Worker::leave(WorkerConnection& c) {
  if (c.previous_ != nullptr) {
    c.previous_->next_ = c.next_;
  } else {
    list_ = c.next_;
  }
  if (c.next_ != nullptr) c.next_->previous_ = c.previous_;
  --connections_;
  counters_.active.sub();
}

}  // namespace mp::proto
