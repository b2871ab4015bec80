// SharedSessions: TLS sessions and the keys of session tickets in a shared memory zone, for all workers and
// over reloads. Sessions are found by their id, and leave when they expire or, oldest first, when room is
// needed. SessionCache is what one SSL_CTX uses of it. Both belong to the configuration.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/shm/lock.hpp"
#include "base/shm/slab.hpp"
#include "base/shm/zone.hpp"
#include "tls/handles.hpp"

namespace mp::tls {

struct TicketKey {
  static constexpr std::size_t kName = 16;
  unsigned char name[kName];
  unsigned char hmac[32];
  unsigned char aes[32];
  std::uint8_t size = 80;    // of the file it came from: 48 (AES-128) or 80 (AES-256)
  std::int64_t expires = 0;  // Unix time; 0: not made yet
};

class SharedSessions {
 public:
  static constexpr std::size_t kMaxSession = 8192;  // encoded
  static constexpr std::size_t kMaxId = 32;

  // Makes `zone` one of sessions; the object is its owner once it is attached.
  static void use(Zone& zone);
  SharedSessions(Zone& zone, bool fresh);

  // False when there was no room even after older sessions had left.
  bool store(std::string_view id, std::string_view session, std::int64_t now, std::int64_t expires);
  // Copies the session into `out`; its size, or 0.
  std::size_t find(std::string_view id, std::int64_t now, char (&out)[kMaxSession]);
  void remove(std::string_view id);

  // The keys of this moment: one to encrypt with and the one before. A key encrypts for `lifetime` seconds
  // and decrypts for as long again.
  std::array<TicketKey, 2> ticket_keys(std::int64_t now, std::int64_t lifetime);

 private:
  using Ref = std::uint32_t;  // a place in the zone in units of 8 bytes; 0 is none
  struct Node;
  struct Head;

  void lock();
  void unlock();
  void reset();
  Node* at(Ref ref) const { return reinterpret_cast<Node*>(base_ + std::size_t{ref} * 8); }
  Ref ref_of(const void* node) const {
    return static_cast<Ref>((static_cast<const std::byte*>(node) - base_) / 8);
  }
  std::uint32_t hash(std::string_view id) const;
  Node* lookup(std::string_view id) const;
  Node* allocate(std::size_t bytes);
  void drop(Node* node);
  void expire(std::int64_t now, bool need_room);

  std::byte* base_;
  PagePool& pool_;
  Head& head_;
  Ref* buckets_;
  std::uint32_t mask_;
};

// How a server's SSL_CTX keeps sessions.
struct SessionOptions {
  enum class Builtin : std::uint8_t { off, none, standard, sized, shared_only };
  Builtin builtin = Builtin::none;
  long builtin_size = 0;
  long timeout = 300;  // seconds
  bool tickets = true;
};

class SessionCache {
 public:
  // `zone` may be null. The zone's SharedSessions exist when it is attached, after the configuration was
  // read.
  SessionCache(Zone* zone, std::vector<TicketKey> keys) : zone_(zone), keys_(std::move(keys)) {}
  ~SessionCache();

  // Ties it to the context, which must not outlive it.
  void install(SSL_CTX* context, const SessionOptions& options);

  // A key file: 48 or 80 bytes. Errors: `"PATH" must be 48 or 80 bytes`, `open() "PATH" failed (...)`.
  static Result<TicketKey> read_key(const std::string& path);

  // A session that proved to be worthless is forgotten everywhere.
  static void forget(SSL* ssl);

  // For scripts that keep sessions of their own: asked before the zone. They may park.
  struct Hooks {
    SSL_SESSION* (*fetch)(SSL* ssl, std::string_view id) = nullptr;  // a new reference, or null
    void (*store)(SSL* ssl, SSL_SESSION* session) = nullptr;
  };
  Hooks hooks;
  // After hooks were set.
  void use_hooks(SSL_CTX* context);

  static SessionCache* of(SSL_CTX* context);

 private:
  static void install_callbacks(SSL_CTX* context);
  static int new_session(SSL* ssl, SSL_SESSION* session);
  static SSL_SESSION* get_session(SSL* ssl, const unsigned char* id, int size, int* copy);
  static void remove_session(SSL_CTX* context, SSL_SESSION* session);
  static int ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                    EVP_MAC_CTX* mac, int encrypting);
  SharedSessions* shared() const { return zone_ != nullptr ? zone_->owner<SharedSessions>() : nullptr; }

  Zone* zone_;
  std::vector<TicketKey> keys_;  // of files; the first encrypts
  std::int64_t last_failure_ = 0;
};

}  // namespace mp::tls
