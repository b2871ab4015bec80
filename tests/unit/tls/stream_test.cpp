#include "tls/stream.hpp"

#include <cerrno>
#include <utility>

#include <catch2/catch.hpp>
#include <openssl/err.h>
#include <unistd.h>

#include "pair.hpp"

using namespace mp;
using namespace mp::tls;
using Outcome = Stream::Outcome;

namespace {

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i * 7 % 26);
  return text;
}

void make_buffer_small(tls::test::Pair& pair) {
  const int little = 4096;
  REQUIRE(setsockopt(pair.server.fd(), SOL_SOCKET, SO_SNDBUF, &little, sizeof little) == 0);
}

// All that the server sends, read in small pieces by a client that gives way after each.
std::string read_slowly(tls::test::Pair& pair) {
  REQUIRE(pair.client_stream->handshake(pair.client, fiber::now() + 5000) == Outcome::done);
  std::string got;
  std::string piece(500, '\0');
  for (;;) {
    const net::Io io = pair.client.read(piece, fiber::now() + 5000);
    if (!io.ok()) return got;
    got.append(piece, 0, io.bytes);
    fiber::yield();
  }
}

}  // namespace

TEST_CASE("tls: a large body goes through both ways, and sizes are those of the plain bytes", "[tls]") {
  const Context accepting = tls::test::server_context();
  const Context connecting = *Context::make(kTlsV1_2 | kTlsV1_3);
  const std::string text = pattern(1'000'000);
  fiber::Scheduler scheduler;
  tls::test::Pair pair(accepting.get(), connecting.get());
  std::string got, back;
  fiber::spawn([&] {
    REQUIRE(pair.server_stream->handshake(pair.server, fiber::now() + 5000) == Outcome::done);
    std::string piece(30000, '\0');
    while (got.size() < text.size()) {
      const net::Io io = pair.server.read(piece, fiber::now() + 5000);
      REQUIRE(io.ok());
      got.append(piece, 0, io.bytes);
    }
    REQUIRE(pair.server.write(got, 5000).ok());
    CHECK(pair.server.bytes_read == text.size());
    CHECK(pair.server.bytes_written == text.size());
    pair.server.shutdown_write();
  });
  fiber::spawn([&] {
    REQUIRE(pair.client_stream->handshake(pair.client, fiber::now() + 5000) == Outcome::done);
    REQUIRE(pair.client.write(text, 5000).ok());
    std::string piece(1000, '\0');
    for (;;) {
      const net::Io io = pair.client.read(piece, fiber::now() + 5000);
      if (io.kind == net::Io::Kind::eof) break;
      REQUIRE(io.ok());
      back.append(piece, 0, io.bytes);
    }
  });
  scheduler.run(true);
  CHECK(got == text);
  CHECK(back == text);
}

TEST_CASE("tls: nothing is left to be read, and no descriptor to be asked, after a whole message", "[tls]") {
  const Context accepting = tls::test::server_context();
  const Context connecting = *Context::make(kTlsV1_2 | kTlsV1_3);
  fiber::Scheduler scheduler;
  tls::test::Pair pair(accepting.get(), connecting.get());
  fiber::spawn([&] {
    REQUIRE(pair.server_stream->handshake(pair.server, fiber::now() + 5000) == Outcome::done);
    char piece[100];
    const net::Io io = pair.server.read(piece, fiber::now() + 5000);
    CHECK(io.bytes == 5);
    CHECK_FALSE(pair.server.has_input());
    CHECK(pair.server.peek().kind == net::Io::Kind::again);
  });
  fiber::spawn([&] {
    REQUIRE(pair.client_stream->handshake(pair.client, fiber::now() + 5000) == Outcome::done);
    REQUIRE(pair.client.write("hello", 5000).ok());
    fiber::sleep_for(20);
  });
  scheduler.run(true);
}

TEST_CASE("tls: the end that came with the last bytes is there to be read", "[tls]") {
  const Context accepting = tls::test::server_context();
  const Context connecting = *Context::make(kTlsV1_2 | kTlsV1_3);
  fiber::Scheduler scheduler;
  tls::test::Pair pair(accepting.get(), connecting.get());
  fiber::spawn([&] {
    REQUIRE(pair.server_stream->handshake(pair.server, fiber::now() + 5000) == Outcome::done);
    REQUIRE(pair.server.write("go on", 5000).ok());
    CHECK_FALSE(pair.server.has_input());
    REQUIRE(pair.server.wait_readable(fiber::now() + 5000));
    char piece[100];
    CHECK(pair.server.try_read(piece).bytes == 5);
    CHECK(pair.server.has_input());
    CHECK(pair.server.try_read(piece).kind == net::Io::Kind::eof);
  });
  fiber::spawn([&] {
    REQUIRE(pair.client_stream->handshake(pair.client, fiber::now() + 5000) == Outcome::done);
    char piece[100];
    REQUIRE(pair.client.read(piece, fiber::now() + 5000).ok());
    REQUIRE(pair.client.write("hello", 5000).ok());
    pair.client_stream->say_goodbye(pair.client);
  });
  scheduler.run(true);
}

TEST_CASE("tls: records are fetched first and opened later, unless a part of one is there already", "[tls]") {
  const Context accepting = tls::test::server_context();
  const Context connecting = *Context::make(kTlsV1_2 | kTlsV1_3);
  fiber::Scheduler scheduler;
  tls::test::Pair pair(accepting.get(), connecting.get());
  fiber::Event written, read;
  fiber::spawn([&] {
    Stream& stream = *pair.server_stream;
    REQUIRE(stream.handshake(pair.server, fiber::now() + 5000) == Outcome::done);
    std::string place(40000, '\0'), piece(40000, '\0');
    pair.server.readable = true;
    CHECK(stream.fetch_records(pair.server, place).empty());
    CHECK(pair.server.write("go on", 5000).ok());
    written.wait();
    pair.server.readable = true;
    const std::string_view records = stream.fetch_records(pair.server, place);
    REQUIRE(records.size() > 10);
    CHECK(stream.open_records(pair.server, records.substr(0, 7), piece).kind == net::Io::Kind::again);
    pair.server.readable = true;
    CHECK(stream.fetch_records(pair.server, std::span(place).subspan(records.size())).empty());
    CHECK(stream.open_records(pair.server, records.substr(7), piece).bytes == 10);
    CHECK(pair.server.bytes_read == 10);
    read.notify_all();
    written.wait();
    // The largest read ends in the midst of a record.
    pair.server.readable = true;
    const std::string_view more = stream.fetch_records(pair.server, place);
    CHECK(more.size() == Stream::kLargestRecord);
    std::size_t got = stream.open_records(pair.server, more, piece).bytes;
    while (got < 30000) {
      const net::Io io = pair.server.read(std::span(piece).subspan(got), fiber::now() + 5000);
      REQUIRE(io.ok());
      got += io.bytes;
    }
    CHECK((piece.substr(0, got) == pattern(30000)));
  });
  fiber::spawn([&] {
    REQUIRE(pair.client_stream->handshake(pair.client, fiber::now() + 5000) == Outcome::done);
    char piece[100];
    REQUIRE(pair.client.read(piece, fiber::now() + 5000).ok());
    REQUIRE(pair.client.write("hello", 5000).ok());
    REQUIRE(pair.client.write("there", 5000).ok());
    written.notify_all();
    read.wait();
    REQUIRE(pair.client.write(pattern(30000), 5000).ok());
    written.notify_all();
  });
  scheduler.run(true);
}

TEST_CASE("tls: what was sealed leaves as if it had been written, whatever the kernel takes of it", "[tls]") {
  const Context accepting = tls::test::server_context();
  const Context connecting = *Context::make(kTlsV1_2 | kTlsV1_3);
  fiber::Scheduler scheduler;
  tls::test::Pair pair(accepting.get(), connecting.get());
  make_buffer_small(pair);
  const std::string text = pattern(4000);
  constexpr int kTimes = 10;
  std::string got;
  bool all_taken = true;
  fiber::spawn([&] {
    Stream& stream = *pair.server_stream;
    REQUIRE(stream.handshake(pair.server, fiber::now() + 5000) == Outcome::done);
    std::string room(64 * 1024, '\0');
    CHECK(stream.seal(pair.server, text, room).plain == 0);
    while (stream.has_waiting()) fiber::yield();  // the tickets leave
    CHECK(stream.seal(pair.server, text, std::span(room).first(1000)).plain == 0);
    for (int i = 0; i < kTimes; ++i) {
      const Stream::Sealed sealed = stream.seal(pair.server, text, room);
      CHECK(sealed.plain == text.size());
      if (stream.send(pair.server, sealed).bytes == text.size()) continue;
      all_taken = false;
      CHECK(stream.seal(pair.server, text, room).plain == 0);
      CHECK(pair.server.write(text, 5000).bytes == text.size());
    }
    CHECK(pair.server.bytes_written == kTimes * text.size());
    pair.server.shutdown_write();
  });
  fiber::spawn([&] { got = read_slowly(pair); });
  scheduler.run(true);
  CHECK_FALSE(all_taken);
  std::string expected;
  for (int i = 0; i < kTimes; ++i) expected += text;
  CHECK((got == expected));
}

// However much is added to each record: what one call makes must be kept in order when the socket is full.
TEST_CASE("tls: a large body in small or padded records, to a client that is slow", "[tls]") {
  const Context accepting = tls::test::server_context();
  const Context connecting = *Context::make(kTlsV1_3);
  const std::string text = pattern(400'000);
  auto received = [&](std::size_t padding, std::size_t record) {
    SSL_CTX_set_block_padding(accepting.get(), padding);
    fiber::Scheduler scheduler;
    tls::test::Pair pair(accepting.get(), connecting.get());
    pair.server_stream->set_record_size(record);
    make_buffer_small(pair);
    std::string got;
    fiber::spawn([&] {
      REQUIRE(pair.server_stream->handshake(pair.server, fiber::now() + 5000) == Outcome::done);
      CHECK(pair.server.write(text, 5000).bytes == text.size());
      CHECK(pair.server.bytes_written == text.size());
      pair.server.shutdown_write();
    });
    fiber::spawn([&] { got = read_slowly(pair); });
    scheduler.run(true);
    return got;
  };
  CHECK((received(0, 16384) == text));
  CHECK((received(16384, 16384) == text));
  CHECK((received(4096, 16384) == text));
  CHECK((received(0, 10) == text));
  CHECK((received(0, 0) == text));
  CHECK((received(0, 0) == text));
}

TEST_CASE("tls: a handshake ends by its deadline, by the peer's end, by nonsense", "[tls]") {
  const Context accepting = tls::test::server_context();
  auto outcome_of = [&](std::string_view sent, bool close) {
    fiber::Scheduler scheduler;
    int fds[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    net::Socket server;
    REQUIRE(server.adopt(fds[0]));
    REQUIRE(::write(fds[1], sent.data(), sent.size()) == static_cast<ssize_t>(sent.size()));
    if (close) ::close(fds[1]);
    Outcome outcome = Outcome::done;
    fiber::spawn([&] {
      auto made = Stream::accept(accepting.get());
      Stream& stream = *made;
      server.set_layer(std::move(made));
      outcome = stream.handshake(server, fiber::now() + 30);
    });
    scheduler.run(true);
    server.close();
    if (!close) ::close(fds[1]);
    return outcome;
  };
  using namespace std::literals;
  CHECK(outcome_of("\x16\x03\x01\x02\x00\x01\x00"sv, false) == Outcome::timeout);
  CHECK(outcome_of("\x16\x03\x01\x02\x00\x01\x00"sv, true) == Outcome::closed);
  CHECK(outcome_of("\x16\x03\x01\xff\xff\x01\x00\x00\x00"sv, false) == Outcome::failed);
  CHECK(outcome_of("GET / HTTP/1.1\r\n\r\n"sv, false) == Outcome::failed);
}

TEST_CASE("tls: what a client says instead of a hello is kept, all of it", "[tls]") {
  const Context accepting = tls::test::server_context();
  const std::string request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  fiber::Scheduler scheduler;
  int fds[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
  net::Socket server;
  REQUIRE(server.adopt(fds[0]));
  REQUIRE(::write(fds[1], request.data(), request.size()) == static_cast<ssize_t>(request.size()));
  fiber::spawn([&] {
    auto made = Stream::accept(accepting.get());
    Stream& stream = *made;
    server.set_layer(std::move(made));
    CHECK(stream.handshake(server, fiber::now() + 1000) == Outcome::failed);
    CHECK(stream.plain() == request);
  });
  scheduler.run(true);
  server.close();
  char answer;
  CHECK(::read(fds[1], &answer, 1) == 0);
  ::close(fds[1]);
}

// A socket that is closed with unread bytes resets the connection.
TEST_CASE("tls: nothing is done for a client that has reset the connection, but to read its alert", "[tls]") {
  const Context accepting = tls::test::server_context();
  auto sent_by_one_that_resets = [&](std::string_view sent) {
    fiber::Scheduler scheduler;
    int fds[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    REQUIRE(::write(fds[0], "x", 1) == 1);
    net::Socket server;
    REQUIRE(server.adopt(fds[0]));
    REQUIRE(::write(fds[1], sent.data(), sent.size()) == static_cast<ssize_t>(sent.size()));
    ::close(fds[1]);
    std::pair<Outcome, int> result;
    fiber::spawn([&] {
      auto made = Stream::accept(accepting.get());
      Stream& stream = *made;
      server.set_layer(std::move(made));
      REQUIRE(server.wait_readable(fiber::now() + 1000));
      result.first = stream.handshake(server, fiber::now() + 1000);
      result.second = stream.error;
    });
    scheduler.run(true);
    server.close();
    ERR_clear_error();
    return result;
  };
  using namespace std::literals;
  // The first would be nonsense to whoever looks at it.
  CHECK(sent_by_one_that_resets("\x16\x03\x01\xff\xff\x01\x00\x00\x00"sv) ==
        std::pair(Outcome::closed, ECONNRESET));
  CHECK(sent_by_one_that_resets("\x15\x03\x01\x00\x02\x02\x28"sv).first == Outcome::failed);
}

TEST_CASE("tls: a goodbye is answered, unless the client has closed as well; the session stays", "[tls]") {
  const Context accepting = tls::test::server_context();
  const Context connecting = *Context::make(kTlsV1_2);
  SSL_CTX_set_options(accepting.get(), SSL_OP_NO_TICKET);  // a session that has an identity can be forgotten
  SessionPtr session;
  auto answered = [&](bool closes) {
    fiber::Scheduler scheduler;
    tls::test::Pair pair(accepting.get(), connecting.get());
    std::ptrdiff_t answer = -1;
    fiber::spawn([&] {
      REQUIRE(pair.server_stream->handshake(pair.server, fiber::now() + 5000) == Outcome::done);
      char piece[100];
      CHECK(pair.server.read(piece, fiber::now() + 5000).kind == net::Io::Kind::eof);
      session.reset(SSL_get1_session(pair.server_stream->ssl()));
      pair.server.close();
    });
    fiber::spawn([&] {
      REQUIRE(pair.client_stream->handshake(pair.client, fiber::now() + 5000) == Outcome::done);
      pair.client_stream->say_goodbye(pair.client);
      if (closes) ::shutdown(pair.client.fd(), SHUT_WR);
      char piece[100];
      REQUIRE(pair.client.wait_readable(fiber::now() + 5000));
      answer = ::recv(pair.client.fd(), piece, sizeof piece, 0);
    });
    scheduler.run(true);
    return answer;
  };
  CHECK(answered(true) == 0);
  CHECK(SSL_SESSION_is_resumable(session.get()) == 1);
  CHECK(answered(false) > 0);
  CHECK(SSL_SESSION_is_resumable(session.get()) == 1);
}

TEST_CASE("tls: a cancelled handshake unwinds", "[tls]") {
  const Context accepting = tls::test::server_context();
  fiber::Scheduler scheduler;
  int fds[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
  net::Socket server;
  REQUIRE(server.adopt(fds[0]));
  bool unwound = false;
  fiber::Fiber* waiting = fiber::spawn([&] {
    struct Guard {
      bool& flag;
      ~Guard() { flag = true; }
    } const guard{unwound};
    auto made = Stream::accept(accepting.get());
    Stream& stream = *made;
    server.set_layer(std::move(made));
    stream.handshake(server, fiber::kNever);
  });
  fiber::spawn([&] {
    fiber::sleep_for(5);
    fiber::cancel(*waiting);
  });
  scheduler.run(true);
  CHECK(unwound);
  server.close();
  ::close(fds[1]);
}

TEST_CASE("tls: what is wrong with one connection is not told to the next", "[tls]") {
  const Context accepting = tls::test::server_context();
  const Context connecting = *Context::make(kTlsV1_3);
  fiber::Scheduler scheduler;
  tls::test::Pair pair(accepting.get(), connecting.get());
  fiber::spawn([&] {
    REQUIRE(pair.server_stream->handshake(pair.server, fiber::now() + 5000) == Outcome::done);
    char piece[100];
    const net::Io io = pair.server.read(piece, fiber::now() + 5000);
    CHECK(io.kind == net::Io::Kind::failed);
    CHECK(io.error == EPROTO);
    CHECK(ERR_peek_error() == 0);
  });
  fiber::spawn([&] {
    REQUIRE(pair.client_stream->handshake(pair.client, fiber::now() + 5000) == Outcome::done);
    CHECK(::send(pair.client.fd(), "what is this", 12, MSG_NOSIGNAL) == 12);
  });
  scheduler.run(true);
}

TEST_CASE("tls: what others have left in OpenSSL's queue is not taken for a connection's", "[tls]") {
  const Context accepting = tls::test::server_context();
  const Context connecting = *Context::make(kTlsV1_2 | kTlsV1_3);
  using Kind = net::Io::Kind;
  // What the server reads, with somebody's error in the queue, behind what the client has done; nothing yet
  // before.
  auto read_behind = [&](auto what) {
    fiber::Scheduler scheduler;
    tls::test::Pair pair(accepting.get(), connecting.get());
    net::Io io;
    fiber::spawn([&] {
      REQUIRE(pair.server_stream->handshake(pair.server, fiber::now() + 5000) == Outcome::done);
      char piece[100];
      ERR_raise(ERR_LIB_USER, 1);
      CHECK(pair.server.peek().kind == Kind::again);
      ERR_raise(ERR_LIB_USER, 1);
      CHECK(pair.server.try_read(piece).kind == Kind::again);
      ERR_raise(ERR_LIB_USER, 1);
      CHECK(pair.server.write("go on", 5000).ok());
      REQUIRE(pair.server.wait_readable(fiber::now() + 5000));
      ERR_raise(ERR_LIB_USER, 1);
      io = pair.server.try_read(piece);
      ERR_clear_error();
    });
    fiber::spawn([&] {
      REQUIRE(pair.client_stream->handshake(pair.client, fiber::now() + 5000) == Outcome::done);
      char piece[100];
      REQUIRE(pair.client.read(piece, fiber::now() + 5000).ok());
      what(pair);
    });
    scheduler.run(true);
    return io;
  };
  CHECK(read_behind([](auto& pair) { CHECK(pair.client.write("some", 5000).ok()); }).bytes == 4);
  CHECK(read_behind([](auto& pair) { pair.client_stream->say_goodbye(pair.client); }).kind == Kind::eof);
  CHECK(read_behind([](auto& pair) { ::shutdown(pair.client.fd(), SHUT_WR); }).kind == Kind::eof);
  const net::Io io = read_behind([](auto& pair) { CHECK(::send(pair.client.fd(), "nonsense", 8, 0) == 8); });
  CHECK(io.kind == Kind::failed);
  CHECK(io.error == EPROTO);
}
