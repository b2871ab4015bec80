#include "net/dns_query.hpp"

#include <algorithm>
#include <cstdlib>

#include "base/ascii.hpp"
#include "base/digest.hpp"
#include "net/io_error.hpp"
#include "net/socket.hpp"

namespace mp::net {
namespace {

constexpr fiber::Msec kTcpTimeout = 5000;
constexpr fiber::Msec kLongest = 30000;  // nobody's resolver_timeout matters beyond
constexpr unsigned kMostAliases = 50;
constexpr std::size_t kMaxDatagram = 4096;

}  // namespace

void DnsQuery::run(std::string_view name, bool service) {
  name_ = name;
  for (unsigned aliases = 0;; ++aliases) {
    if (!ask(name_, service)) code_ = code_ != 0 ? code_ : dns::kTimedOut;
    if (code_ != 0 || !addresses_.empty() || !services_.empty()) break;
    if (alias_.empty() || empty_ || aliases >= kMostAliases) {
      code_ = dns::kHostNotFound;
      break;
    }
    name_ = std::exchange(alias_, {});
  }
  finish();
}

// True when every part has its answer.
bool DnsQuery::ask(std::string_view name, bool service) {
  count_ = 0;
  const auto add = [&](dns::Type type) {
    Part& part = parts_[count_++];
    part = Part{};
    part.type = type;
    random_bytes(&part.id, sizeof part.id);
    part.size =
        dns::write_query(std::span<char, dns::kMaxQuery>(part.message), part.id, name, type).value_or(0);
  };
  if (service) {
    add(dns::Type::srv);
  } else {
    if (resolver_.options_.ipv4) add(dns::Type::a);
    if (resolver_.options_.ipv6) add(dns::Type::aaaa);
  }
  if (parts_[0].size == 0) {
    code_ = dns::kHostNotFound;  // no domain name
    return true;
  }
  const fiber::Msec until = fiber::now() + kLongest;
  while (fiber::now() < until && entry_.waiters > 0) {
    const Address& server = resolver_.next_server();
    const fiber::Msec deadline = std::min(until, fiber::now() + resolver_.options_.resend_after);
    if (ask_server(server, deadline) == Outcome::answered) return true;
  }
  return false;
}

bool DnsQuery::all_answered() const {
  return code_ != 0 || std::all_of(parts_.begin(), parts_.begin() + static_cast<std::ptrdiff_t>(count_),
                                   [](const Part& part) { return part.answered; });
}

DnsQuery::Outcome DnsQuery::ask_server(const Address& server, fiber::Msec deadline) {
  if (const Status connected = socket_.connect(server); !connected) {
    log_error(connected.error().text);
    fiber::sleep_for(std::min<fiber::Msec>(deadline - fiber::now(), 1000));
    return Outcome::again;
  }
  for (std::size_t i = 0; i < count_; ++i) {
    if (parts_[i].answered) continue;
    const Io sent = socket_.send({parts_[i].message.data(), parts_[i].size});
    if (!sent.ok()) log_failure(sent.error, "send() failed", server);
  }
  char datagram[kMaxDatagram];
  while (!all_answered()) {
    const Io io = socket_.receive(datagram, deadline);
    if (io.kind == Io::Kind::timeout) return Outcome::again;
    if (!io.ok()) {
      log_failure(io.error, "recv() failed", server);
      // Nobody listens there; another server may, and a moment later this one again.
      if (resolver_.options_.servers.size() > 1) return Outcome::again;
      if (fiber::now() < deadline) fiber::sleep_for(deadline - fiber::now());
      return Outcome::again;
    }
    read({datagram, io.bytes}, server, false);
  }
  return Outcome::answered;
}

DnsQuery::Part* DnsQuery::find(const dns::Response& response) {
  for (std::size_t i = 0; i < count_; ++i) {
    Part& part = parts_[i];
    if (part.answered || part.id != response.id()) continue;
    if (!response.has_question()) return &part;
    std::string_view asked = name_;
    if (asked.ends_with('.')) asked.remove_suffix(1);
    if (part.type == response.type() && equals_nocase(response.name().text(), asked)) return &part;
  }
  return nullptr;
}

void DnsQuery::read(std::string_view message, const Address& server, bool over_tcp) {
  auto response = dns::Response::parse(message, over_tcp);
  if (!response) return log_error(response.error().text);
  Part* part = find(*response);
  if (part == nullptr) {
    return log_error("unexpected DNS response for " + std::string(response->name().text()));
  }
  if (response->truncated() && !over_tcp) return ask_over_tcp(server, *part);
  if (!response->has_question()) {
    log_error("DNS error (" + std::to_string(response->code()) + ": " +
              std::string(dns::code_text(response->code())) +
              "), query id:" + std::to_string(response->id()) + ", name:\"" + name_ + "\"");
    return;
  }
  take(*response, *part);
}

void DnsQuery::take(dns::Response& response, Part& part) {
  if (response.code() != 0) {
    code_ = response.code();
    part.answered = true;
    return;
  }
  alias_.clear();
  empty_ = response.answers() == 0;
  dns::Record record;
  for (;;) {
    const auto more = response.next(record);
    if (!more) return log_error(more.error().text);
    if (!*more) break;
    if (!take_record(record, part)) return;
  }
  part.answered = true;
}

bool DnsQuery::take_record(const dns::Record& record, Part& part) {
  ttl_ = std::min(ttl_, record.ttl);
  switch (record.type) {
    case dns::Type::a:
    case dns::Type::aaaa:
      if (record.type != part.type) {
        if (part.type == dns::Type::srv) return true;
        log_error(record.type == dns::Type::a ? "unexpected A record in DNS response"
                                              : "unexpected AAAA record in DNS response");
        return false;
      }
      addresses_.push_back(record.address);
      return true;
    case dns::Type::srv:
      services_.push_back({std::string(record.target.text()), record.priority, record.weight, record.port});
      return true;
    case dns::Type::cname:
      alias_ = record.target.text();
      return true;
    case dns::Type::dname:
      return true;
    default:
      log_error("unexpected RR type " + std::to_string(static_cast<unsigned>(record.type)) +
                " in DNS response");
      return true;
  }
}

// The same question once more, where long answers fit.
void DnsQuery::ask_over_tcp(const Address& server, Part& part) {
  Socket tcp;
  const fiber::Msec deadline = fiber::now() + kTcpTimeout;
  if (const Status up = tcp.connect(server.raw(), server.size(), nullptr, 0, deadline); !up) {
    return log_error(up.error().text);
  }
  std::string message{static_cast<char>(part.size >> 8), static_cast<char>(part.size & 0xff)};
  message.append(part.message.data(), part.size);
  if (!tcp.write(message, kTcpTimeout).ok()) return log_error("failed to send a DNS query over TCP");
  char length[2];
  if (!tcp.read_all(length, deadline).ok()) return log_error("failed to read a DNS response over TCP");
  const std::size_t size = static_cast<std::size_t>(static_cast<unsigned char>(length[0])) << 8 |
                           static_cast<unsigned char>(length[1]);
  std::string answer(size, '\0');
  if (!tcp.read_all(answer, deadline).ok()) return log_error("failed to read a DNS response over TCP");
  read(answer, server, true);
}

void DnsQuery::finish() {
  entry_.code = code_;
  entry_.valid_until = 0;
  if (code_ != 0) return;
  entry_.addresses = std::move(addresses_);
  entry_.services = std::move(services_);
  const std::int64_t fixed = resolver_.options_.valid_seconds;
  const fiber::Msec seconds =
      fixed > 0 ? static_cast<fiber::Msec>(fixed) : std::min<fiber::Msec>(ttl_, 0x7fffffff);
  entry_.valid_until = fiber::now() + seconds * 1000;
}

void DnsQuery::log_failure(int errnum, const char* what, const Address& server) const {
  log::write(network_to_blame(errnum) ? log::Level::error : log::Level::alert, resolver_.options_.logger,
             "{}",
             system_error(errnum, what).text + " while resolving, resolver: " + server.text_with_port());
}

void DnsQuery::log_error(std::string_view text) const {
  log::write_text(log::Level::error, resolver_.options_.logger, text);
}

}  // namespace mp::net
