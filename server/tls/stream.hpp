// Stream: TLS on a connected socket, as the Layer between a net::Socket and its descriptor. Owned by the
// socket.
//
// The handshake runs on the calling fiber and parks it while the peer is silent; callbacks of OpenSSL run on
// the same stack, so they may park as well. Later reads and writes never park. Records are encrypted into
// memory and leave in as few system calls as possible; when the kernel takes over the encryption (kTLS),
// plain bytes and files go straight to the descriptor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.hpp"
#include "net/socket.hpp"
#include "tls/handles.hpp"

namespace mp::tls {

// Who owns what the callbacks of a handshake need. Found again through Stream::of(ssl)->owner.
class Owner {
 protected:
  ~Owner() = default;
};

class Stream final : public net::Layer {
 public:
  // Null when OpenSSL has no memory or refuses, which is queued (error.hpp).
  static std::unique_ptr<Stream> accept(SSL_CTX* context);
  static std::unique_ptr<Stream> connect(SSL_CTX* context);
  ~Stream() override;

  // The stream an SSL belongs to.
  static Stream* of(const SSL* ssl);

  enum class Outcome : std::uint8_t {
    done,
    timeout,
    closed,  // the peer ended the connection (`error` is an errno, or 0)
    failed,  // OpenSSL's queue tells why; `ssl_error` is SSL_get_error()'s answer
  };
  // The handshake, on a connected socket that has no layer yet or this one. With early data the handshake
  // counts as done when the first bytes of it are there. Throws Cancelled.
  Outcome handshake(net::Socket& socket, net::Msec deadline);
  int ssl_error = 0;
  int error = 0;
  // Whether the peer of a server has said anything.
  bool greeted() const { return greeted_; }
  // What the peer of a server said instead of a hello; its handshake has failed then.
  const std::string& plain() const { return plain_; }

  SSL* ssl() const { return ssl_.get(); }
  bool is_open() const { return state_ == State::open || state_ == State::early; }
  // The handshake is over on both sides, so that reading runs none of its callbacks; and nothing has gone
  // wrong since.
  bool settled() const { return SSL_is_init_finished(ssl()) != 0; }
  // The kernel does it (kTLS): files may be sent from where they are.
  bool kernel_encrypts() const { return kernel_encrypts_; }
  // What ALPN agreed on; empty when nothing.
  std::string_view protocol() const;

  // The largest record written; the first records of a burst are small, so that a client can use the first
  // bytes before the last have come.
  // 0: the largest.
  void set_record_size(std::size_t bytes) { record_size_ = bytes > 0 ? bytes : kLargestRecord; }

  // A callback that parks notes here that its fiber was cancelled, and fails; handshake() rethrows.
  void note_cancelled() { cancelled_ = std::current_exception(); }

  // What is to be written next is the last: the goodbye leaves with it.
  void end_with_next_write() { ends_ = true; }
  // There are records that the next write takes along.
  bool has_waiting() const { return waits_ != Wait::none; }
  // No goodbye is sent when the connection is closed.
  void abandon() { broken_ = true; }
  // SSL_shutdown() in both directions was asked for by a script: sends close_notify now.
  void say_goodbye(net::Socket& socket) { shutdown(socket); }

  Owner* owner = nullptr;
  std::shared_ptr<void> keep_alive;  // the owner, when nobody else keeps it
  log::Logger logger;
  SSL_CTX* session_context = nullptr;  // whose sessions these are: the one it was made with
  bool lifetime_kept = false;          // see sessions.cpp

  static constexpr std::size_t kLargestRecord = 16 * 1024;  // plain bytes
  static constexpr std::size_t kMostWaiting = 8 * 1024;     // bytes of records that wait for the next write
  static constexpr std::size_t kScratch = 80 * 1024;        // bytes of records that one call may make

  // ---- for those who serve several connections at a time: the kernel's part of a read or write apart from
  // OpenSSL's, so that each can be done for all of them before the other

  // What the descriptor has, in `place`, for open_records() at once. Nothing when it is not the time for
  // that.
  std::string_view fetch_records(net::Socket& socket, std::span<char> place);
  // try_read(), of what was fetched first.
  net::Io open_records(net::Socket& socket, std::string_view records, std::span<char> into);

  struct Sealed {
    std::string_view records;
    std::size_t plain = 0;  // bytes that are in them
  };
  // Makes records of as many bytes as fit, for send() at once. Nothing when it is not the time for that.
  Sealed seal(net::Socket& socket, std::string_view plain, std::span<char> room);
  // try_write() of what was sealed.
  net::Io send(net::Socket& socket, const Sealed& sealed);

  net::Io try_read(net::Socket& socket, std::span<char> into) override;
  net::Io try_write(net::Socket& socket, std::span<const iovec> pieces) override;
  net::Io try_sendfile(net::Socket& socket, int file, off_t offset, std::size_t size) override;
  net::Io peek(net::Socket& socket) override;
  bool has_buffered_input() const override;
  void shutdown(net::Socket& socket) override;

 private:
  enum class State : std::uint8_t { handshake, early, open };
  // For as long as nothing else is waited for. A read comes first where it may find the request that the
  // write answers.
  enum class Wait : std::uint8_t { none, for_read, for_write };

  explicit Stream(SslPtr ssl) : ssl_(std::move(ssl)) {}
  static std::unique_ptr<Stream> make(SSL_CTX* context);

  friend struct StreamBio;
  void use_own_bio();
  int bio_write(const char* data, int size);
  int bio_read(char* data, int size);
  bool accept_input(std::string_view bytes);
  void peek_greeting();

  Outcome step();  // one turn of the handshake; `done` may still have bytes to send
  net::Io early_read(std::span<char> into, bool& finished);
  net::Io read_failed(int rc);
  bool flush(net::Socket& socket);  // sends what is encrypted; false: not all
  void all_sent();
  bool may_wait() const;
  void wait();
  void unlist();
  static void send_waiting(void*);
  std::size_t next_record();
  int encrypt(const char* data, std::size_t size);
  Sealed seal_pieces(std::span<const iovec> pieces, std::span<char> room, int& rc);
  bool may_say_goodbye() const;
  void write_goodbye();
  net::Io failure(int rc);

  SslPtr ssl_;
  net::Socket* socket_ = nullptr;  // while a call is under way
  std::vector<char> out_;          // encrypted and not sent
  std::size_t out_sent_ = 0;
  std::string_view fetched_;  // what OpenSSL gets instead of what the descriptor has, during one call
  std::span<char> room_;      // where records go during one call
  std::size_t room_used_ = 0;
  std::size_t owed_ = 0;  // plain bytes that are encrypted, and not yet told to the writer
  std::size_t record_size_ = kLargestRecord;
  std::uint32_t burst_ = 0;  // plain bytes of the present burst, up to where records are large
  net::Msec last_write_ = 0;
  Stream* next_waiting_ = nullptr;
  Stream** listed_ = nullptr;  // what points to this one in the list of those that wait
  std::exception_ptr cancelled_;
  std::string plain_;
  int io_error_ = 0;
  State state_ = State::handshake;
  Wait waits_ = Wait::none;  // what is in out_
  bool drained_ = true;      // nothing, not even the end, can be read without new input
  bool accepts_ = false;     // a server's
  bool greeted_ = false;
  bool peer_closed_ = false;    // the descriptor has nothing more
  bool peer_finished_ = false;  // its end was read, and nothing written since
  bool broken_ = false;
  bool goodbye_said_ = false;
  bool ends_ = false;  // with the next write
  bool early_allowed_ = false;
  bool has_early_byte_ = false;
  char early_byte_ = 0;
  bool kernel_encrypts_ = false;
  bool kernel_bio_ = false;
};

// Installs what every context needs for its streams: modes, options. Once per SSL_CTX.
void prepare_context(SSL_CTX* context);

}  // namespace mp::tls
