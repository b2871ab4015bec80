#include "lua/socket/pool.hpp"

#include <cerrno>
#include <iterator>
#include <utility>
#include <vector>

#include <sys/socket.h>

namespace mp::lua {

bool Link::quiet() {
  if (hangup) return false;
  // TLS has messages of its own, which are no bytes for anyone.
  return !has_input() || peek().kind == net::Io::Kind::again;
}

void Link::on_ready() {
  if (pool_ != nullptr) pool_->reap_soon();
}

void Link::IdleTimer::expired() {
  link.expired_ = true;
  if (link.pool_ != nullptr) link.pool_->reap_soon();
}

Pool::~Pool() {
  for (const auto& link : idle_) link->pool_ = nullptr;
}

std::unique_ptr<Link> Pool::take() {
  while (!idle_.empty()) {
    std::unique_ptr<Link> link = std::move(idle_.back());
    idle_.pop_back();
    link->pool_ = nullptr;
    link->idle_timer_.disarm();
    if (link->quiet()) {
      ++link->reused;
      return link;
    }
    --connections;
  }
  return nullptr;
}

std::unique_ptr<Link> Pool::take_with(std::string_view tls_identity) {
  for (auto it = idle_.rbegin(); it != idle_.rend(); ++it) {
    if ((*it)->tls_identity != tls_identity || !(*it)->quiet()) continue;
    std::unique_ptr<Link> link = std::move(*it);
    idle_.erase(std::next(it).base());
    link->pool_ = nullptr;
    link->idle_timer_.disarm();
    ++link->reused;
    return link;
  }
  return nullptr;
}

bool Pool::put(std::unique_ptr<Link> link, fiber::Msec timeout, bool counted) {
  if (static_cast<int>(idle_.size()) >= size) {
    idle_.front()->pool_ = nullptr;
    idle_.erase(idle_.begin());
    if (counted) --connections;
  } else if (!counted) {
    ++connections;
  }
  if (!link->quiet()) {
    --connections;
    return false;
  }
  link->pool_ = this;
  link->expired_ = false;
  if (timeout != 0) fiber::here()->arm(link->idle_timer_, fiber::now() + timeout);
  idle_.push_back(std::move(link));
  wake_one();
  return true;
}

void Pool::leave() {
  --connections;
  wake_one();
  forget_if_unused();
}

void Pool::wake_one() {
  if (waiters_.empty()) return;
  Waiter* waiter = waiters_.front();
  waiters_.pop_front();
  waiter->granted = true;
  fiber::wake(waiter->ticket);
}

bool Pool::wait(fiber::Msec deadline) {
  const auto keep = shared_from_this();
  Waiter self{fiber::ticket()};
  waiters_.push_back(&self);
  const fiber::Wake why = fiber::park(deadline);
  if (!self.granted) waiters_.remove(&self);
  if (why == fiber::Wake::cancelled) throw fiber::Cancelled{};
  return self.granted;
}

void Pool::close_idle() {
  const std::vector<std::unique_ptr<Link>> idle = std::exchange(idle_, {});
  for (const auto& link : idle) link->pool_ = nullptr;
  connections -= static_cast<int>(idle.size());
  forget_if_unused();
}

// Events and timers may not destroy what they belong to: a fiber does.
void Pool::reap_soon() {
  if (std::exchange(reaping_, true)) return;
  fiber::spawn([pool = shared_from_this()] { pool->reap(); });
}

void Pool::reap() {
  reaping_ = false;
  for (auto it = idle_.begin(); it != idle_.end();) {
    if (!(*it)->expired_ && (*it)->quiet()) {
      ++it;
      continue;
    }
    (*it)->pool_ = nullptr;
    it = idle_.erase(it);
    --connections;
  }
  forget_if_unused();
}

void Pool::forget_if_unused() {
  if (connections <= 0 && idle_.empty() && waiters_.empty()) owner_.forget(key_);
}

std::shared_ptr<Pool> SocketPools::find(const std::string& key) const {
  const auto it = pools_.find(key);
  return it != pools_.end() ? it->second : nullptr;
}

std::shared_ptr<Pool> SocketPools::make(const std::string& key, int size, int backlog) {
  auto pool = std::make_shared<Pool>(*this, key, size, backlog);
  pools_[key] = pool;
  return pool;
}

void SocketPools::forget(const std::string& key) {
  const auto it = pools_.find(key);
  if (it == pools_.end()) return;
  for (Noted& n : noted_) {
    if (n.pool == it->second) n = {};
  }
  pools_.erase(it);
}

void SocketPools::note(std::string_view host, int port, const std::shared_ptr<Pool>& pool) {
  noted_[next_note_++ % noted_.size()] = {port, std::string(host), pool};
}

void SocketPools::begin_shutdown() {
  exiting_ = true;
  std::vector<std::shared_ptr<Pool>> all;
  for (const auto& [key, pool] : pools_) all.push_back(pool);
  for (const auto& pool : all) pool->close_idle();
}

}  // namespace mp::lua
