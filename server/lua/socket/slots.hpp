// SocketSlots: the memory of stream sockets that work for a request, one set for each worker. A slot is taken
// when a script connects (for the first few sockets of a request) and is free again when the request ends.
// The script's object, which may live longer, has only a number for it that is never given to another socket;
// so it needs no finalizer, and a socket costs the collector nothing but that object. Never freed while the
// worker lives.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "lua/socket/tcp_socket.hpp"

namespace mp::lua {

class SocketSlots {
 public:
  // Of this thread.
  static SocketSlots& here() { return here_ != nullptr ? *here_ : make_here(); }

  TcpSocket& make();
  void free(TcpSocket& socket);

  // What the number stands for; ended() when its request has.
  TcpSocket& find(std::uint64_t handle) {
    const std::uint64_t index = handle & kIndexMask;
    if (index >= slots_.size() || slots_[index]->handle != handle) return ended_;
    return slots_[index]->socket();
  }

  // Stand for sockets that were never connected, and for those whose request has ended. Nothing may change
  // them.
  TcpSocket& unconnected() { return unconnected_; }
  TcpSocket& ended() { return ended_; }

 private:
  SocketSlots() { ended_.end(); }
  static SocketSlots& make_here();

  // A handle is the index of a slot and, above it, how often the slot was taken. It is exact in a Lua number.
  static constexpr unsigned kIndexBits = 22;
  static constexpr std::uint64_t kIndexMask = (std::uint64_t{1} << kIndexBits) - 1;

  struct Slot {
    TcpSocket& socket() { return *reinterpret_cast<TcpSocket*>(place); }
    std::uint64_t handle = 0;  // 0: free
    std::uint64_t taken = 0;
    alignas(TcpSocket) unsigned char place[sizeof(TcpSocket)];
  };

  static constinit thread_local SocketSlots* here_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<std::uint32_t> free_;  // the one used last at the end
  TcpSocket unconnected_{TcpSocket::Kind::upstream};
  TcpSocket ended_{TcpSocket::Kind::upstream};
};

}  // namespace mp::lua
