#include "lua/socket/slots.hpp"

#include <new>

namespace mp::lua {

constinit thread_local SocketSlots* SocketSlots::here_ = nullptr;

SocketSlots& SocketSlots::make_here() {
  here_ = new SocketSlots;
  return *here_;
}

TcpSocket& SocketSlots::make() {
  if (free_.empty()) {
    if (slots_.size() > kIndexMask) throw std::bad_alloc();
    free_.reserve(slots_.size() + 1);  // free() shall not fail
    slots_.push_back(std::make_unique<Slot>());
    free_.push_back(static_cast<std::uint32_t>(slots_.size() - 1));
  }
  const std::uint32_t index = free_.back();
  free_.pop_back();
  Slot& slot = *slots_[index];
  // A Lua number has 53 bits; a number comes again after two thousand million sockets in this slot.
  constexpr std::uint64_t kTimes = std::uint64_t{1} << (53 - kIndexBits);
  slot.taken = slot.taken + 1 < kTimes ? slot.taken + 1 : 1;
  slot.handle = slot.taken << kIndexBits | index;
  return *new (slot.place) TcpSocket(TcpSocket::Kind::upstream, slot.handle);
}

void SocketSlots::free(TcpSocket& socket) {
  const auto index = static_cast<std::uint32_t>(socket.handle & kIndexMask);
  socket.~TcpSocket();
  slots_[index]->handle = 0;
  free_.push_back(index);
}

}  // namespace mp::lua
