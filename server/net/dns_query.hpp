// DnsQuery: one question to the name servers, until it is answered: resends, the next server, TCP for what
// was cut off, and names that are only other names. Lives on the stack of its own fiber.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "net/dns_message.hpp"
#include "net/resolver.hpp"
#include "net/udp_socket.hpp"

namespace mp::net {

class DnsQuery {
 public:
  DnsQuery(Resolver& resolver, Resolver::Entry& entry) : resolver_(resolver), entry_(entry) {}

  // Fills the entry: addresses or services, code, and how long it is valid.
  void run(std::string_view name, bool service);

 private:
  // The question for one record type and what became of it.
  struct Part {
    dns::Type type = dns::Type::none;
    std::uint16_t id = 0;
    std::array<char, dns::kMaxQuery> message{};
    std::size_t size = 0;
    bool answered = false;
    unsigned found = 0;
  };
  enum class Outcome : std::uint8_t { answered, again, gave_up };

  bool ask(std::string_view name, bool service);
  Outcome ask_server(const Address& server, fiber::Msec deadline);
  void read(std::string_view message, const Address& server, bool over_tcp);
  void take(dns::Response& response, Part& part);
  bool take_record(const dns::Record& record, Part& part);
  void ask_over_tcp(const Address& server, Part& part);
  bool all_answered() const;
  void finish();
  Part* find(const dns::Response& response);
  void log_error(std::string_view text) const;
  void log_failure(int errnum, const char* what, const Address& server) const;

  Resolver& resolver_;
  Resolver::Entry& entry_;
  std::string name_;  // the one being asked for
  std::array<Part, 2> parts_;
  std::size_t count_ = 0;
  UdpSocket socket_;
  std::vector<Address> addresses_;
  std::vector<Resolver::Service> services_;
  std::string alias_;   // of the answer that came last
  bool empty_ = false;  // that one had no records at all
  unsigned code_ = 0;
  std::uint32_t ttl_ = 0xffffffff;
};

}  // namespace mp::net
