// What leaves together: a server's tickets, its first response, its goodbye. Each send is a message of its
// own here, so that they can be counted.
#include <cerrno>
#include <functional>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <unistd.h>

#include "pair.hpp"
#include "tls/stream.hpp"

using namespace mp;
using namespace mp::tls;
using Outcome = Stream::Outcome;

namespace {

// A client that says when what it has to send leaves, and in how many messages the rest came.
class Client {
 public:
  Client(SSL_CTX* context, int fd) : fd_(fd), ssl_(SSL_new(context)) {
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl_.get(), in_, out_);
    SSL_set_connect_state(ssl_.get());
    SSL_do_handshake(ssl_.get());
  }
  ~Client() { ::close(fd_); }

  SSL* ssl() const { return ssl_.get(); }
  bool shake() { return SSL_do_handshake(ssl()) == 1; }
  void write(std::string_view text) {
    CHECK(SSL_write(ssl(), text.data(), static_cast<int>(text.size())) == static_cast<int>(text.size()));
  }
  // All that was written since the last time, as one message.
  void send() {
    char* data = nullptr;
    const auto size = static_cast<std::size_t>(BIO_get_mem_data(out_, &data));
    CHECK(::send(fd_, data, size, MSG_NOSIGNAL) == static_cast<ssize_t>(size));
    (void)BIO_reset(out_);
  }
  // The messages that are there.
  int receive() {
    int messages = 0;
    std::string piece(100'000, '\0');
    for (;; ++messages) {
      const ssize_t n = ::recv(fd_, piece.data(), piece.size(), MSG_DONTWAIT);
      if (n <= 0) break;
      BIO_write(in_, piece.data(), static_cast<int>(n));
    }
    return messages;
  }
  std::string read() {
    std::string text(1000, '\0');
    const int n = SSL_read(ssl(), text.data(), static_cast<int>(text.size()));
    text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return text;
  }
  bool was_told_goodbye() const { return (SSL_get_shutdown(ssl()) & SSL_RECEIVED_SHUTDOWN) != 0; }

 private:
  int fd_;
  SslPtr ssl_;
  BIO* in_;
  BIO* out_;
};

struct Connection {
  fiber::Scheduler scheduler;
  net::Socket server;
  Stream* stream = nullptr;
  Context accepting;
  Context connecting;
  int tickets = 0;
  std::unique_ptr<Client> client;

  explicit Connection(std::uint32_t protocols = kTlsV1_2 | kTlsV1_3)
      : accepting(tls::test::server_context(protocols)), connecting(*Context::make(protocols)) {
    int fds[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    REQUIRE(server.adopt(fds[0]));
    auto made = Stream::accept(accepting.get());
    stream = made.get();
    server.set_layer(std::move(made));
    SSL_CTX_set_session_cache_mode(connecting.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(connecting.get(), [](SSL* ssl, SSL_SESSION*) {
      return ++*static_cast<int*>(SSL_get_app_data(ssl)), 0;
    });
    client = std::make_unique<Client>(connecting.get(), fds[1]);
    SSL_set_app_data(client->ssl(), &tickets);
  }

  // Runs both until nothing is left to do; the server's side begins behind its handshake.
  void run(const std::function<void()>& server_side, const std::function<void()>& client_side) {
    fiber::spawn([this, &server_side] {
      REQUIRE(stream->handshake(server, fiber::now() + 5000) == Outcome::done);
      server_side();
    });
    fiber::spawn([this, &client_side] {
      client->send();
      await();
      CHECK(client->shake() == (SSL_version(client->ssl()) == TLS1_3_VERSION));
      client_side();
      client.reset();
    });
    scheduler.run(true);
  }

  // "response" and the goodbye, in one send.
  void await_last_response() {
    CHECK(await() == 1);
    CHECK(client->read() == "response");
    CHECK(client->read().empty());
    CHECK(client->was_told_goodbye());
  }
  // Waits for at least one message; how many there were.
  int await() {
    for (int i = 0; i < 1000; ++i) {
      if (const int messages = client->receive(); messages > 0) return messages;
      fiber::sleep_for(1);
    }
    return 0;
  }

  std::string read() {
    std::string text(1000, '\0');
    const net::Io io = server.read(text, fiber::now() + 5000);
    text.resize(io.bytes);
    return text;
  }
};

constexpr std::uint32_t kBoth[] = {kTlsV1_2, kTlsV1_3};

}  // namespace

TEST_CASE("tls: tickets, the answer to a request that came with the end of the handshake, and the goodbye",
          "[tls]") {
  // The request in the same message, or in one of its own right behind it.
  for (const bool apart : {false, true}) {
    Connection c(kTlsV1_3);
    c.run(
        [&] {
          CHECK(c.read() == "request");
          CHECK(c.stream->has_waiting());
          c.stream->end_with_next_write();
          CHECK(c.server.write("response", 5000).bytes == 8);
          CHECK(c.server.bytes_written == 8);
          c.server.close();
        },
        [&] {
          if (apart) c.client->send();
          c.client->write("request");
          c.client->send();
          c.await_last_response();
          CHECK(c.tickets == 2);
        });
  }
}

TEST_CASE("tls: a client that has sent no request yet, or a part of it, has its tickets", "[tls]") {
  for (const std::string_view part : {"", "req"}) {
    Connection c(kTlsV1_3);
    c.run(
        [&] {
          std::string got;
          while (got != "request") got += c.read();
          CHECK(c.server.write("response", 5000).bytes == 8);
        },
        [&] {
          if (!part.empty()) c.client->write(part);
          c.client->send();
          CHECK(c.await() == 1);
          CHECK(c.client->read().empty());
          CHECK(c.tickets == 2);
          c.client->write(std::string_view("request").substr(part.size()));
          c.client->send();
          CHECK(c.await() == 1);
          CHECK(c.client->read() == "response");
          CHECK_FALSE(c.client->was_told_goodbye());
        });
  }
}

TEST_CASE("tls: tickets do not wait for a server that waits for something else", "[tls]") {
  for (const bool reads_first : {false, true}) {
    Connection c(kTlsV1_3);
    fiber::Event ticketed;
    c.run(
        [&] {
          if (reads_first) CHECK(c.read() == "request");
          CHECK(c.stream->has_waiting());
          ticketed.wait();
          CHECK_FALSE(c.stream->has_waiting());
          if (!reads_first) CHECK(c.read() == "request");
          CHECK(c.server.write("response", 5000).bytes == 8);
        },
        [&] {
          c.client->write("request");
          c.client->send();
          CHECK(c.await() == 1);
          CHECK(c.client->read().empty());
          CHECK(c.tickets == 2);
          ticketed.notify_all();
          CHECK(c.await() == 1);
          CHECK(c.client->read() == "response");
        });
  }
}

TEST_CASE("tls: who closes without a word leaves tickets and the goodbye", "[tls]") {
  Connection c(kTlsV1_3);
  c.run([&] { c.server.close(); },
        [&] {
          c.client->write("request");
          c.client->send();
          CHECK(c.await() == 1);
          CHECK(c.client->read().empty());
          CHECK(c.client->was_told_goodbye());
          CHECK(c.tickets == 2);
        });
}

TEST_CASE("tls: in TLS 1.2 the end of the handshake waits for nothing", "[tls]") {
  Connection c(kTlsV1_2);
  c.run(
      [&] {
        CHECK_FALSE(c.stream->has_waiting());
        CHECK(c.read() == "request");
        c.stream->end_with_next_write();
        CHECK(c.server.write("response", 5000).bytes == 8);
      },
      [&] {
        c.client->send();
        CHECK(c.await() == 1);
        CHECK(c.client->shake());
        CHECK(c.tickets == 1);
        c.client->write("request");
        c.client->send();
        c.await_last_response();
      });
}

// Whatever the kernel takes of it at a time.
TEST_CASE("tls: the goodbye is behind the last byte of what was to be written", "[tls]") {
  for (const std::uint32_t protocol : kBoth) {
    const Context accepting = tls::test::server_context(protocol);
    const Context connecting = *Context::make(protocol);
    for (const std::size_t size : {1, 5000, 40'000, 300'000}) {
      fiber::Scheduler scheduler;
      tls::test::Pair pair(accepting.get(), connecting.get());
      const int little = 4096;
      REQUIRE(setsockopt(pair.server.fd(), SOL_SOCKET, SO_SNDBUF, &little, sizeof little) == 0);
      std::string got;
      fiber::Event seen;
      fiber::spawn([&] {
        REQUIRE(pair.server_stream->handshake(pair.server, fiber::now() + 5000) == Outcome::done);
        pair.server_stream->end_with_next_write();
        CHECK(pair.server.write(std::string(size, 'x'), 5000).bytes == size);
        CHECK(pair.server.bytes_written == size);
        seen.wait();
        pair.server.close();
      });
      fiber::spawn([&] {
        REQUIRE(pair.client_stream->handshake(pair.client, fiber::now() + 5000) == Outcome::done);
        char piece[700];
        for (;;) {
          const net::Io io = pair.client.read(piece, fiber::now() + 5000);
          if (!io.ok()) {
            CHECK(io.kind == net::Io::Kind::eof);
            break;
          }
          got.append(piece, io.bytes);
        }
        CHECK((SSL_get_shutdown(pair.client_stream->ssl()) & SSL_RECEIVED_SHUTDOWN) != 0);
        seen.notify_all();
      });
      scheduler.run(true);
      CHECK(got.size() == size);
    }
  }
}
