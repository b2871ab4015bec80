// LimitConnZone: how many connections (requests in progress) each key of one limit_conn_zone has, over all
// workers. A handle of one process, made with the configuration before the workers are forked.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "base/shm/key_table.hpp"

namespace mp::http {

class LimitConnZone {
  struct State {
    std::uint32_t connections;
  };
  using Table = KeyTable<State>;

 public:
  static constexpr std::size_t kMaxKey = 255;

  // A counted connection; uncounts it when it goes. Moved into the request that it counts for.
  class Hold {
   public:
    Hold() = default;
    Hold(Hold&& other) noexcept : zone_(std::exchange(other.zone_, nullptr)), ticket_(other.ticket_) {}
    Hold& operator=(Hold&& other) noexcept {
      std::swap(zone_, other.zone_);
      std::swap(ticket_, other.ticket_);
      return *this;
    }
    ~Hold() { reset(); }
    void reset() {
      if (LimitConnZone* zone = std::exchange(zone_, nullptr)) zone->release(ticket_);
    }
    explicit operator bool() const { return zone_ != nullptr; }

   private:
    friend class LimitConnZone;
    Hold(LimitConnZone& zone, Table::Ticket ticket) : zone_(&zone), ticket_(ticket) {}

    LimitConnZone* zone_ = nullptr;
    Table::Ticket ticket_;
  };

  enum class Verdict : std::uint8_t { ok, busy, no_memory };

  static std::size_t index_bytes(std::size_t zone_size) { return Table::index_bytes(zone_size); }

  LimitConnZone(Zone& zone, bool fresh) : table_(zone, fresh), name_(zone.name()) {}

  std::string_view name() const { return name_; }

  // Counts one more when fewer than `limit` are. Keys are 1 to kMaxKey bytes.
  Verdict acquire(std::string_view key, std::uint32_t limit, Hold& hold);

 private:
  void release(Table::Ticket ticket);

  Table table_;
  std::string_view name_;
};

}  // namespace mp::http
