#include "tls/ocsp_client.hpp"

#include <cerrno>
#include <optional>

#include <fmt/core.h>

#include "base/ascii.hpp"
#include "base/base64.hpp"
#include "base/escape.hpp"
#include "base/numbers.hpp"
#include "base/strings.hpp"
#include "net/address_url.hpp"
#include "net/socket.hpp"

namespace mp::tls {
namespace {

constexpr fiber::Msec kTimeout = 60'000;
constexpr std::size_t kMostResponse = 64 * 1024;

// "/uri/BASE64" as a request of HTTP/1.0, whose responses are never chunked.
std::string http_request(const OcspResponder& responder, std::string_view request) {
  std::string text(base64_size(request.size()), '\0');
  text.resize(static_cast<std::size_t>(base64_into(text.data(), request) - text.data()));
  std::string escaped(text.size() * 3, '\0');
  escaped.resize(static_cast<std::size_t>(escape_uri_into(escaped.data(), text, UriEscape::uri_component) -
                                          escaped.data()));
  std::string out = "GET " + responder.uri;
  if (!out.ends_with('/')) out += '/';
  return out + escaped + " HTTP/1.0\r\nHost: " + responder.host + "\r\n\r\n";
}

Result<std::string> ask(const net::Address& address, std::string_view request, fiber::Msec deadline) {
  net::Socket socket;
  if (auto connected = socket.connect(address.raw(), address.size(), nullptr, 0, deadline); !connected) {
    return fail(std::move(connected.error()));
  }
  const net::Io sent = socket.write(request, deadline - fiber::now());
  if (sent.kind == net::Io::Kind::failed) return fail(system_error(sent.error, "send() failed"));
  if (!sent.ok()) return fail("OCSP responder timed out");
  std::string data;
  char piece[4096];
  for (;;) {
    const net::Io io = socket.read(piece, deadline);
    if (io.kind == net::Io::Kind::timeout) return fail("OCSP responder timed out");
    if (io.kind == net::Io::Kind::failed) return fail(system_error(io.error, "recv() failed"));
    data.append(piece, io.bytes);
    const bool ended = io.kind == net::Io::Kind::eof;
    std::string_view body;
    switch (parse_ocsp_http(data, ended, body)) {
      case OcspHttp::done:
        return std::string(body);
      case OcspHttp::invalid:
        return fail("OCSP responder sent invalid response");
      case OcspHttp::wrong_type:
        return fail("OCSP responder sent invalid \"Content-Type\" header");
      case OcspHttp::need_more:
        break;
    }
    if (ended) return fail("OCSP responder prematurely closed connection");
    if (data.size() > kMostResponse) return fail("OCSP responder sent invalid response");
  }
}

}  // namespace

Result<OcspResponder> OcspResponder::parse(std::string_view url, bool resolve) {
  constexpr std::string_view kHttp = "http://";
  if (!starts_with_nocase(url, kHttp) || url.size() == kHttp.size()) return fail("invalid URL prefix");
  const auto parsed =
      net::parse_address_url(url.substr(kHttp.size()), {.default_port = 80, .uri_part = true});
  if (!parsed) return fail(parsed.error());
  OcspResponder out;
  out.host = std::string(parsed->host);
  out.uri = parsed->uri.empty() ? "/" : std::string(parsed->uri);
  out.port = parsed->port;
  if (out.host.empty()) return fail("empty host");
  if (parsed->address.specified() || resolve) {
    auto addresses = net::resolve(*parsed);
    if (!addresses) return fail(std::move(addresses.error()));
    out.addresses = std::move(*addresses);
  }
  return out;
}

OcspHttp parse_ocsp_http(std::string_view data, bool complete, std::string_view& body) {
  std::size_t end = data.find("\r\n\r\n");
  std::size_t skip = 4;
  if (const std::size_t bare = data.find("\n\n"); bare < end) {
    end = bare;
    skip = 2;
  }
  if (end == std::string_view::npos) return OcspHttp::need_more;
  std::string_view head = data.substr(0, end);
  std::string_view rest = data.substr(end + skip);
  const std::size_t first_end = head.find('\n');
  const std::string_view status = head.substr(0, first_end);
  if (!status.starts_with("HTTP/1.") || status.size() < 12 || status.substr(8, 4) != " 200") {
    return OcspHttp::invalid;
  }
  std::optional<std::size_t> length;
  bool right_type = false;
  head.remove_prefix(first_end == std::string_view::npos ? head.size() : first_end + 1);
  for (const std::string_view line : split(head, '\n')) {
    const auto field = split_once(line, ':');
    if (!field) continue;
    const std::string_view value = trim(field->second.substr(0, field->second.find('\r')));
    if (equals_nocase(field->first, "content-type")) {
      right_type = equals_nocase(value, "application/ocsp-response");
      if (!right_type) return OcspHttp::wrong_type;
    } else if (equals_nocase(field->first, "content-length")) {
      length = parse_unsigned<std::size_t>(value);
      if (!length) return OcspHttp::invalid;
    }
  }
  if (length && rest.size() >= *length) {
    body = rest.substr(0, *length);
    return OcspHttp::done;
  }
  if (!complete || length) return OcspHttp::need_more;
  body = rest;
  return OcspHttp::done;
}

Result<std::string> ask_ocsp(const OcspResponder& responder, const OcspResolver& resolver,
                             std::string_view request) {
  std::vector<net::Address> addresses = responder.addresses;
  if (resolver.resolver != nullptr && !net::parse_ip_port(responder.host)) {
    auto found = resolver.resolver->resolve(responder.host, fiber::now() + resolver.timeout);
    if (!found) return fail(std::move(found.error()));
    for (net::Address& address : *found) address.set_port(responder.port);
    addresses = std::move(*found);
  }
  if (addresses.empty()) return fail("no resolver defined to resolve " + responder.host);
  const std::string text = http_request(responder, request);
  Result<std::string> answer = fail("");
  for (const net::Address& address : addresses) {
    answer = ask(address, text, fiber::now() + kTimeout);
    if (answer) break;
  }
  return answer;
}

}  // namespace mp::tls
