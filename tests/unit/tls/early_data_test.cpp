// Early data: the client here is OpenSSL over memory, so that its parts can be sent one by one.
#include <catch2/catch.hpp>

#include "pair.hpp"

using namespace mp;
using namespace mp::tls;
using Outcome = Stream::Outcome;

namespace {

SSL_SESSION* given_session = nullptr;

int keep_session(SSL*, SSL_SESSION* session) {
  SSL_SESSION_free(given_session);
  given_session = session;
  return 1;
}

class MemoryClient {
 public:
  MemoryClient(SSL_CTX* context, net::Socket& socket) : socket_(socket), ssl_(SSL_new(context)) {
    SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl_.get());
  }

  SSL* ssl() { return ssl_.get(); }

  void send_written() {
    char piece[4096];
    int size;
    while ((size = BIO_read(SSL_get_wbio(ssl()), piece, sizeof piece)) > 0)
      REQUIRE(socket_.write({piece, static_cast<std::size_t>(size)}, 5000).ok());
  }

  void receive() {
    char piece[4096];
    const net::Io io = socket_.read(piece, fiber::now() + 5000);
    REQUIRE(io.ok());
    BIO_write(SSL_get_rbio(ssl()), piece, static_cast<int>(io.bytes));
  }

  void handshake() {
    while (SSL_do_handshake(ssl()) != 1) {
      send_written();
      receive();
    }
    send_written();
  }

  std::string read() {
    char piece[100];
    int size;
    while ((size = SSL_read(ssl(), piece, sizeof piece)) <= 0) receive();
    return {piece, static_cast<std::size_t>(size)};
  }

  void write(std::string_view text) {
    REQUIRE(SSL_write(ssl(), text.data(), static_cast<int>(text.size())) == static_cast<int>(text.size()));
    send_written();
  }

 private:
  net::Socket& socket_;
  SslPtr ssl_;
};

std::string read_some(net::Socket& socket) {
  char piece[100];
  const net::Io io = socket.read(piece, fiber::now() + 5000);
  REQUIRE(io.ok());
  return {piece, io.bytes};
}

}  // namespace

TEST_CASE("tls: early data is read before the handshake ends, and the rest after it", "[tls]") {
  const Context accepting = tls::test::server_context(kTlsV1_3);
  SSL_CTX_set_max_early_data(accepting.get(), 16384);
  const Context connecting = *Context::make(kTlsV1_3);
  SSL_CTX_set_session_cache_mode(connecting.get(), SSL_SESS_CACHE_CLIENT);
  SSL_CTX_sess_set_new_cb(connecting.get(), keep_session);
  for (const bool resumed : {false, true}) {
    fiber::Scheduler scheduler;
    tls::test::Pair pair(accepting.get(), connecting.get());
    pair.client.set_layer(nullptr);
    fiber::spawn([&] {
      REQUIRE(pair.server_stream->handshake(pair.server, fiber::now() + 5000) == Outcome::done);
      CHECK((SSL_is_init_finished(pair.server_stream->ssl()) == 0) == resumed);
      if (resumed) {
        CHECK(read_some(pair.server) == "e");  // the byte the handshake looked for
        CHECK(read_some(pair.server) == "arly");
        REQUIRE(pair.server.write("answer to early", 5000).ok());
      }
      CHECK(read_some(pair.server) == "late");
      CHECK(SSL_is_init_finished(pair.server_stream->ssl()) == 1);
      REQUIRE(pair.server.write("answer", 5000).ok());
    });
    fiber::spawn([&] {
      MemoryClient client(connecting.get(), pair.client);
      if (resumed) {
        SSL_set_session(client.ssl(), given_session);
        std::size_t written = 0;
        REQUIRE(SSL_write_early_data(client.ssl(), "early", 5, &written) == 1);
        client.send_written();
        client.handshake();
        CHECK(SSL_get_early_data_status(client.ssl()) == SSL_EARLY_DATA_ACCEPTED);
        CHECK(client.read() == "answer to early");
      } else {
        client.handshake();
      }
      client.write("late");
      CHECK(client.read() == "answer");
    });
    scheduler.run(true);
    REQUIRE(given_session != nullptr);
  }
  SSL_SESSION_free(std::exchange(given_session, nullptr));
}
