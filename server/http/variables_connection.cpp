// Variables of the client's connection and of the process.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "base/identity.hpp"
#include "base/numbers.hpp"
#include "fiber/scheduler.hpp"
#include "http/core_conf.hpp"
#include "http/core_variables.hpp"
#include "http/proxy_protocol.hpp"
#include "http/redirect.hpp"
#include "http/request.hpp"

namespace mp::http {
namespace {

Value number_value(Request& r, std::int64_t number) {
  char text[kMaxDecimal];
  return Value::of(r.arena.copy({text, static_cast<std::size_t>(print(text, number) - text)}));
}

template <std::uint32_t tcp_info::* Field>
Value tcp_value(Request& r, const Variable&) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(r.connection.carrier->socket.fd(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
    return Value::none();
  return number_value(r, info.*Field);
}

Value proxy_port(Request& r, std::uint16_t ProxyHeader::* port) {
  const ProxyHeader* header = r.connection.proxy_protocol.get();
  if (header == nullptr || !header->has_addresses) return Value::none();
  return header->*port != 0 ? number_value(r, header->*port) : Value::of("");
}

Value proxy_address(Request& r, std::string_view ProxyHeader::* address) {
  const ProxyHeader* header = r.connection.proxy_protocol.get();
  return header != nullptr && header->has_addresses ? Value::of(header->*address) : Value::none();
}

std::string_view host_name() {
  static const std::string name = [] {
    char text[256] = {};
    gethostname(text, sizeof text - 1);
    return std::string(text);
  }();
  return name;
}

constexpr Variable kConnectionVariables[] = {
    {.name = "binary_remote_addr",
     .get = [](Request& r, const Variable&) { return Value::of(r.connection.client.binary()); }},
    {.name = "remote_addr",
     .get = [](Request& r, const Variable&) { return Value::of(r.connection.client.text(r.arena)); }},
    {.name = "remote_port",
     .get =
         [](Request& r, const Variable&) {
           const int port = r.connection.client.port();
           return port != 0 ? number_value(r, port) : Value::of("");
         }},
    {.name = "server_addr",
     .get = [](Request& r, const Variable&) { return Value::of(r.connection.local().text(r.arena)); }},
    {.name = "server_port",
     .get =
         [](Request& r, const Variable&) {
           const int port = r.connection.local().port();
           return port != 0 ? number_value(r, port) : Value::of("");
         }},
    {.name = "scheme", .get = [](Request& r, const Variable&) { return Value::of(scheme_of(r)); }},
    {.name = "https",
     .get = [](Request& r, const Variable&) { return Value::of(scheme_of(r) == "https" ? "on" : ""); }},
    {.name = "http2",
     .get =
         [](Request& r, const Variable&) {
           return Value::of(!r.connection.is_http2 ? "" : r.connection.is_tls ? "h2" : "h2c");
         }},
    {.name = "connection",
     .get = [](Request& r,
               const Variable&) { return number_value(r, static_cast<std::int64_t>(r.connection.number)); }},
    {.name = "connection_requests",
     .get =
         [](Request& r, const Variable&) {
           return number_value(r, static_cast<std::int64_t>(r.connection.requests));
         }},
    {.name = "connection_time",
     .get =
         [](Request& r, const Variable&) {
           const auto ms = static_cast<std::int64_t>(fiber::now() - r.connection.started_msec);
           char text[kMaxDecimal + 2];
           return Value::of(r.arena.copy({text, static_cast<std::size_t>(print_fixed(text, ms, 3) - text)}));
         },
     .cacheable = false},
    {.name = "proxy_protocol_addr",
     .get = [](Request& r, const Variable&) { return proxy_address(r, &ProxyHeader::src_address); }},
    {.name = "proxy_protocol_port",
     .get = [](Request& r, const Variable&) { return proxy_port(r, &ProxyHeader::src_port); }},
    {.name = "proxy_protocol_server_addr",
     .get = [](Request& r, const Variable&) { return proxy_address(r, &ProxyHeader::dst_address); }},
    {.name = "proxy_protocol_server_port",
     .get = [](Request& r, const Variable&) { return proxy_port(r, &ProxyHeader::dst_port); }},
    {.name = "proxy_protocol_tlv_",
     .get =
         [](Request& r, const Variable& v) {
           const ProxyHeader* header = r.connection.proxy_protocol.get();
           if (header == nullptr) return Value::none();
           char scratch[16];
           const auto value = find_proxy_tlv(header->tlvs, v.name.substr(19), scratch);
           return value ? Value::of(r.arena.copy(*value)) : Value::none();
         },
     .prefix = true},
    {.name = "tcpinfo_rtt", .get = tcp_value<&tcp_info::tcpi_rtt>, .cacheable = false},
    {.name = "tcpinfo_rttvar", .get = tcp_value<&tcp_info::tcpi_rttvar>, .cacheable = false},
    {.name = "tcpinfo_snd_cwnd", .get = tcp_value<&tcp_info::tcpi_snd_cwnd>, .cacheable = false},
    {.name = "tcpinfo_rcv_space", .get = tcp_value<&tcp_info::tcpi_rcv_space>, .cacheable = false},
    {.name = "nginx_version", .get = [](Request&, const Variable&) { return Value::of(kCompatibleVersion); }},
    {.name = "hostname", .get = [](Request&, const Variable&) { return Value::of(host_name()); }},
    {.name = "pid", .get = [](Request& r, const Variable&) { return number_value(r, getpid()); }},
};

}  // namespace

void define_connection_variables(VariableTable& table) {
  table.define(kConnectionVariables);
}

}  // namespace mp::http
