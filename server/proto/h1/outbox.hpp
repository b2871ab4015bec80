// Outbox: small whole responses of HTTP/1 connections that became ready together. They are sent one after the
// other when those connections have been served, or when the box is full: neither the kernel's code for
// sending nor this server's for everything else is fetched anew for every response then. One for each worker;
// connections outlive their letters (they send what is there before they end).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tls/stream.hpp"

namespace mp::proto {

class H1Connection;

class Outbox {
 public:
  static constexpr std::size_t kLargest = 4096;  // bytes of one response

  bool empty() const { return count_ == 0; }
  // Copies at most kLargest bytes. The box is emptied at the end of the pass at the latest.
  void post(H1Connection& connection, std::string_view bytes);
  // Sends everything. Never parks: what the kernel does not take is kept, and the connection told.
  void send_all();

  // What is left of a letter, until its connection has taken it or forgets it.
  void keep(H1Connection& connection, std::string_view rest) { kept_.emplace_back(&connection, rest); }
  std::string take_kept(const H1Connection& connection);

 private:
  static constexpr std::size_t kMost = 32;
  static constexpr std::size_t kRoom = 64 * 1024;
  struct Letter {
    H1Connection* connection;
    std::size_t size;
    tls::Stream::Sealed sealed;
  };

  void seal(std::span<Letter> letters);

  std::array<Letter, kMost> letters_;
  std::size_t count_ = 0;
  std::size_t used_ = 0;
  bool will_be_emptied_ = false;  // at the end of the pass
  bool any_tls_ = false;          // among those whose letters are here
  std::vector<std::pair<const H1Connection*, std::string>> kept_;
  std::array<char, kRoom> bytes_;
  // Of those that are behind TLS, and room for one more of the largest size, without which none is begun.
  std::array<char, kRoom + 24 * 1024> records_;
};

}  // namespace mp::proto
