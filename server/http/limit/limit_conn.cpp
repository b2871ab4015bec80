#include "http/limit/limit_conn.hpp"

namespace mp::http {

LimitConnZone::Verdict LimitConnZone::acquire(std::string_view key, std::uint32_t limit, Hold& hold) {
  Table::Ticket ticket;
  {
    Table::Session table(table_);
    Table::Entry* entry = table.find(key);
    if (entry == nullptr) {
      entry = table.insert(key);
      if (entry == nullptr) return Verdict::no_memory;
    } else if (entry->payload.connections >= limit) {
      return Verdict::busy;
    }
    ++entry->payload.connections;
    ticket = table.ticket(entry);
  }
  hold = Hold(*this, ticket);
  return Verdict::ok;
}

void LimitConnZone::release(Table::Ticket ticket) {
  Table::Session table(table_);
  Table::Entry* entry = table.redeem(ticket);
  if (entry != nullptr && --entry->payload.connections == 0) table.remove(entry);
}

}  // namespace mp::http
