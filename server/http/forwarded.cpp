#include "http/forwarded.hpp"

#include <algorithm>

#include "base/ascii.hpp"
#include "http/headers.hpp"

namespace mp::http {

bool is_in(const net::Address& address, std::span<const net::Cidr> networks) {
  return std::any_of(networks.begin(), networks.end(),
                     [&](const net::Cidr& network) { return network.contains(address); });
}

Forwarded follow_forwarded(net::Address& address, std::string_view list, std::span<const net::Cidr> trusted,
                           bool recursive) {
  constexpr std::string_view kSeparators = " ,";
  bool changed = false;
  do {
    const auto stopped = changed ? Forwarded::partly : Forwarded::unchanged;
    if (!is_in(address, trusted)) return stopped;
    const std::size_t last = list.find_last_not_of(kSeparators);
    if (last == std::string_view::npos) return stopped;
    list = list.substr(0, last + 1);
    const std::size_t before = list.find_last_of(kSeparators);
    const std::size_t begin = before == std::string_view::npos ? 0 : before + 1;
    const auto entry = net::parse_ip_port(list.substr(begin));
    if (!entry) return stopped;
    address = *entry;
    changed = true;
    list = list.substr(0, begin);
  } while (recursive && !list.empty());
  return Forwarded::complete;
}

Forwarded follow_forwarded_fields(net::Address& address, const Headers& headers, std::string_view name,
                                  std::span<const net::Cidr> trusted, bool recursive) {
  bool changed = false;
  for (const HeaderField* field = headers.end(); field != headers.begin();) {
    --field;
    if (!equals_nocase(field->name, name)) continue;
    const Forwarded result = follow_forwarded(address, field->value, trusted, recursive);
    if (!recursive) return result;
    if (result != Forwarded::complete) {
      return changed && result == Forwarded::unchanged ? Forwarded::partly : result;
    }
    changed = true;
  }
  return changed ? Forwarded::complete : Forwarded::unchanged;
}

}  // namespace mp::http
