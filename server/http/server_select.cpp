#include "http/server_select.hpp"

#include "http/core_conf.hpp"
#include "http/request.hpp"
#include "http/ssl_connection.hpp"

namespace mp::http {

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
  if (Server* const* found = exact_.find(host)) return *found;
  if (!suffixes_.empty()) {
    for (std::size_t dot = host.find('.', 1); dot != std::string_view::npos; dot = host.find('.', dot + 1)) {
      if (Server* const* found = suffixes_.find(host.substr(dot))) return *found;
    }
  }
  if (!prefixes_.empty()) {
    for (std::size_t dot = host.rfind('.'); dot != std::string_view::npos && dot > 0;
         dot = host.rfind('.', dot - 1)) {
      if (Server* const* found = prefixes_.find(host.substr(0, dot + 1))) return *found;
    }
  }
  if (request == nullptr) return nullptr;
  for (const RegexName& name : regexes_) {
    if (name.regex.match(*request, host)) return name.server;
  }
  return nullptr;
}

const AddressConf& AddressConf::reached_at(const net::Address& local) const {
  for (const AddressConf* specific : covered) {
    if (specific->address == local) return *specific;
  }
  return *this;
}

namespace {

[[gnu::noinline]] void enter_server(Request& r, const Server& server) {
  r.server = &server;
  r.sets = server.sets;
  r.logger.log = nullptr;
  r.content_handler = nullptr;
  r.enter_set(*r.sets[conf::Level::location]);
}

}  // namespace

bool select_server(Request& r, const AddressConf& address, std::string_view host) {
  const Server* server = address.names.empty() ? nullptr : address.names.find(host, &r);
  if (server == nullptr) server = address.default_server;
  if (r.connection.carrier->ssl != nullptr && !name_allowed(r, *server, host)) [[unlikely]]
    return false;
  if (server != r.server) [[unlikely]]  // it is in force mostly
    enter_server(r, *server);
  return true;
}

}  // namespace mp::http
