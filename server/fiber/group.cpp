// Event and Group: how fibers wait for something to happen, and for one another.
#include <utility>

#include "fiber/fiber.hpp"

namespace mp::fiber {

bool Event::wait(Msec deadline) {
  Waiter self{ticket(), waiters_};
  waiters_ = &self;
  const Wake why = park(deadline);
  if (why == Wake::event) return true;  // notify_all() took the list apart
  for (Waiter** link = &waiters_; *link != nullptr; link = &(*link)->next) {
    if (*link == &self) {
      *link = self.next;
      break;
    }
  }
  if (why == Wake::cancelled) throw Cancelled{};
  return false;
}

void Event::notify_all() {
  Waiter* w = std::exchange(waiters_, nullptr);
  while (w != nullptr) {
    Waiter* next = w->next;
    wake(w->ticket);
    w = next;
  }
}

void Group::ended(Child& child) {
  for (Child** link = &children_; *link != nullptr; link = &(*link)->next) {
    if (*link == &child) {
      *link = child.next;
      break;
    }
  }
  if (children_ == nullptr) changed_.notify_all();
}

void Group::cancel_all() {
  for (Child* c = children_; c != nullptr; c = c->next) cancel(*c->fiber);
}

void Group::wait() {
  try {
    while (children_ != nullptr) changed_.wait();
  } catch (const Cancelled&) {
    cancel_all();
    CancelShield shield;
    while (children_ != nullptr) changed_.wait();
    throw;
  }
}

Group::~Group() {
  if (children_ == nullptr) return;
  cancel_all();
  CancelShield shield;
  while (children_ != nullptr) changed_.wait();
}

}  // namespace mp::fiber
