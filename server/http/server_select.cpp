#include "http/server_select.hpp"

#include <cstring>
#include <functional>

#include "http/core_conf.hpp"
#include "http/request.hpp"
#include "http/ssl_connection.hpp"

namespace mp::http {

bool ServerTable::Slot::is(std::uint32_t other_hash, std::string_view other) const {
  if (hash != other_hash || size != other.size()) return false;
  const char* own = text;
  if (size > kInPlace) std::memcpy(&own, text, sizeof(own));
  return std::string_view(own, size) == other;
}

std::uint32_t ServerTable::hash_of(std::string_view name) {
  return static_cast<std::uint32_t>(std::hash<std::string_view>()(name));
}

std::size_t ServerTable::place(std::uint32_t hash, std::string_view name) const {
  std::size_t at = hash & (slots_.size() - 1);
  while (slots_[at].server != nullptr && !slots_[at].is(hash, name)) at = (at + 1) & (slots_.size() - 1);
  return at;
}

void ServerTable::grow() {
  std::vector<Slot> before(slots_.empty() ? 4 : slots_.size() * 2);
  before.swap(slots_);
  for (const Slot& slot : before) {
    if (slot.server == nullptr) continue;
    std::size_t at = slot.hash & (slots_.size() - 1);
    while (slots_[at].server != nullptr) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = slot;
  }
}

bool ServerTable::add(std::string_view name, Server* server) {
  if ((count_ + 1) * 4 > slots_.size() * 3) grow();
  const std::uint32_t hash = hash_of(name);
  Slot& slot = slots_[place(hash, name)];
  if (slot.server != nullptr) return false;
  slot.server = server;
  slot.hash = hash;
  slot.size = static_cast<std::uint32_t>(name.size());
  if (name.size() <= Slot::kInPlace) {
    name.copy(slot.text, name.size());
  } else {
    const char* address = long_names_.emplace_front(name).data();
    std::memcpy(slot.text, &address, sizeof(address));
  }
  ++count_;
  return true;
}

Server* ServerTable::find(std::string_view name) const {
  return slots_.empty() ? nullptr : slots_[place(hash_of(name), name)].server;
}

bool ServerNames::add(std::string_view name, Server* server) {
  if (name.starts_with("*.")) return suffixes_.add(name.substr(1), server);
  if (name.starts_with('.')) {
    const bool fresh = suffixes_.add(name, server);
    return exact_.add(name.substr(1), server) && fresh;
  }
  if (name.ends_with(".*")) return prefixes_.add(name.substr(0, name.size() - 1), server);
  return exact_.add(name, server);
}

Server* ServerNames::find(std::string_view host, Request* request) const {
  if (Server* found = exact_.find(host)) return found;
  if (!suffixes_.empty()) {
    for (std::size_t dot = host.find('.', 1); dot != std::string_view::npos; dot = host.find('.', dot + 1)) {
      if (Server* found = suffixes_.find(host.substr(dot))) return found;
    }
  }
  if (!prefixes_.empty()) {
    for (std::size_t dot = host.rfind('.'); dot != std::string_view::npos && dot > 0;
         dot = host.rfind('.', dot - 1)) {
      if (Server* found = prefixes_.find(host.substr(0, dot + 1))) return found;
    }
  }
  if (request == nullptr) return nullptr;
  for (const RegexName& name : regexes_) {
    if (name.regex.match(*request, host)) return name.server;
  }
  return nullptr;
}

bool select_server(Request& r, const AddressConf& address, std::string_view host) {
  const Server* server = address.names.empty() ? nullptr : address.names.find(host, &r);
  if (server == nullptr) server = address.default_server;
  if (!name_allowed(r, *server, host)) return false;
  if (server == r.server) return true;  // in force already
  r.server = server;
  r.sets = server->sets;
  r.logger.log = nullptr;
  r.content_handler = nullptr;
  r.enter_set(*r.sets[conf::Level::location]);
  return true;
}

}  // namespace mp::http
