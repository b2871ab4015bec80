#include "net/resolver.hpp"

#include <algorithm>

#include "base/ascii.hpp"
#include "fiber/scheduler.hpp"
#include "net/dns_query.hpp"

namespace mp::net {
namespace {

constexpr fiber::Msec kForgetAfter = 30000;  // since it was last asked for

// The key in the cache and the name on the wire: lower case, without the final dot.
std::string normal(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  std::string out(name);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) { return to_lower(c); });
  return out;
}

// "_http._tcp.NAME"
std::string service_name(std::string_view service, std::string_view name) {
  std::string asked;
  if (service.find('.') == std::string_view::npos) {
    asked.append("_").append(service).append("._tcp.");
  } else {
    asked.append(service).append(".");
  }
  return normal(asked.append(name));
}

tl::unexpected<Error> unresolved(std::string_view name, unsigned code) {
  return fail(std::string(name) + " could not be resolved (" + std::to_string(code) + ": " +
                  std::string(dns::code_text(code)) + ")",
              static_cast<int>(code));
}

}  // namespace

const Address& Resolver::next_server() {
  if (turn_ >= options_.servers.size()) turn_ = 0;
  return options_.servers[turn_++];
}

// Host names may come from clients: what was not asked for lately goes.
void Resolver::forget_old() {
  for (int i = 0; i < 2 && !recent_.empty(); ++i) {
    const auto found = entries_.find(recent_.back());
    const Entry& entry = *found->second;
    if (entry.busy || fiber::now() < entry.forget_at) return;
    entries_.erase(found);
    recent_.pop_back();
  }
}

Resolver::EntryPtr Resolver::find_or_make(const std::string& key) {
  forget_old();
  EntryPtr& entry = entries_[key];
  if (entry == nullptr) {
    entry = std::make_shared<Entry>();
    recent_.push_front(key);
  } else {
    recent_.splice(recent_.begin(), recent_, entry->place);
  }
  entry->place = recent_.begin();
  entry->forget_at = fiber::now() + kForgetAfter;
  return entry;
}

Resolver::EntryPtr Resolver::ask(const std::string& key, std::string_view name, bool service,
                                 fiber::Msec deadline) {
  const EntryPtr entry = find_or_make(key);
  if (!entry->busy && entry->code == 0 && fiber::now() < entry->valid_until) return entry;
  // A query that nobody waits for any more ends; who comes after begins another.
  struct Waiting {
    Entry& entry;
    explicit Waiting(Entry& e) : entry(e) { ++entry.waiters; }
    ~Waiting() {
      if (--entry.waiters > 0 || entry.query == nullptr) return;
      entry.busy = false;
      fiber::cancel(*std::exchange(entry.query, nullptr));
    }
  } waiting(*entry);
  if (!entry->busy) {
    entry->busy = true;
    fiber::spawn([this, entry, asked = std::string(name), service] {
      fiber::local() = {};
      entry->query = fiber::current();
      struct Done {
        Entry& entry;
        ~Done() {
          if (entry.query != fiber::current()) return;
          entry.query = nullptr;
          entry.busy = false;
          entry.done.notify_all();
        }
      } done{*entry};
      entry->code = dns::kTimedOut;
      try {
        DnsQuery(*this, *entry).run(asked, service);
      } catch (const fiber::Cancelled&) {
        // The worker ends: so does every wait for this.
      }
    });
  }
  while (entry->busy) {
    if (!entry->done.wait(deadline)) return nullptr;
  }
  return entry;
}

Result<std::vector<Address>> Resolver::resolve(std::string_view name, fiber::Msec deadline) {
  if (const auto literal = parse_ip(name)) return std::vector<Address>{*literal};
  const std::string key = normal(name);
  const EntryPtr entry = ask(key, key, false, deadline);
  if (entry == nullptr) return unresolved(name, dns::kTimedOut);
  if (entry->code != 0) return unresolved(name, entry->code);
  std::vector<Address> addresses = entry->addresses;
  const auto first = static_cast<std::ptrdiff_t>(entry->turn++ % addresses.size());
  std::rotate(addresses.begin(), addresses.begin() + first, addresses.end());
  return addresses;
}

Result<std::vector<ServiceAddress>> Resolver::resolve_service(std::string_view service, std::string_view name,
                                                              fiber::Msec deadline,
                                                              std::vector<Error>* problems) {
  const std::string asked = service_name(service, name);
  const EntryPtr entry = ask("SRV " + asked, asked, true, deadline);
  if (entry == nullptr) return unresolved(asked, dns::kTimedOut);
  if (entry->code != 0) return unresolved(asked, entry->code);
  std::vector<ServiceAddress> found;
  unsigned code = dns::kHostNotFound;
  for (const Service& one : std::vector<Service>(entry->services)) {
    auto addresses = resolve(one.target, deadline);
    if (!addresses) {
      code = static_cast<unsigned>(addresses.error().code);
      if (problems != nullptr) problems->push_back(addresses.error());
      continue;
    }
    for (Address& address : *addresses) {
      address.set_port(one.port);
      found.push_back({address, one.target, one.priority, one.weight});
    }
  }
  if (found.empty()) return unresolved(asked, code);
  std::stable_sort(found.begin(), found.end(),
                   [](const ServiceAddress& a, const ServiceAddress& b) { return a.priority < b.priority; });
  return found;
}

fiber::Msec Resolver::valid_until(std::string_view name) const {
  if (parse_ip(name)) return fiber::kNever;
  const auto found = entries_.find(normal(name));
  return found == entries_.end() || found->second->code != 0 ? 0 : found->second->valid_until;
}

fiber::Msec Resolver::valid_until(std::string_view service, std::string_view name) const {
  const auto found = entries_.find("SRV " + service_name(service, name));
  if (found == entries_.end() || found->second->code != 0) return 0;
  fiber::Msec until = found->second->valid_until;
  for (const Service& one : found->second->services) {
    if (const fiber::Msec known = valid_until(one.target)) until = std::min(until, known);
  }
  return until;
}

}  // namespace mp::net
