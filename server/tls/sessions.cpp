#include "tls/sessions.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "tls/error.hpp"
#include "tls/stream.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace mp::tls {

// ---- the zone

struct SharedSessions::Node {
  Ref next;          // in the bucket
  Ref newer, older;  // in the order they came
  std::uint32_t hash;
  std::int64_t expires;
  std::uint16_t size;  // of the session
  std::uint8_t id_size;
  char id[kMaxId];
  char session[];
};

struct alignas(64) SharedSessions::Head {
  ShmLock lock;
  std::uint64_t seed;
  Ref newest, oldest;
  SlabHeap heap;
  TicketKey keys[2];  // the present one, the one before
};

namespace {

std::size_t buckets_for(std::size_t zone_size) {
  return std::bit_ceil(zone_size / 512 + 1);
}

}  // namespace

void SharedSessions::use(Zone& zone) {
  zone.on_attach(sizeof(Head) + buckets_for(zone.size()) * sizeof(Ref),
                 [](Zone& z, const Zone* previous) -> Status {
                   z.set_owner(std::make_shared<SharedSessions>(z, previous == nullptr));
                   return {};
                 });
}

SharedSessions::SharedSessions(Zone& zone, bool fresh)
    : base_(zone.base()),
      pool_(zone.pool()),
      head_(*static_cast<Head*>(zone.index())),
      buckets_(reinterpret_cast<Ref*>(&head_ + 1)),
      mask_(static_cast<std::uint32_t>(buckets_for(zone.size()) - 1)) {
  if (!fresh) return;
  RAND_bytes(reinterpret_cast<unsigned char*>(&head_.seed), sizeof head_.seed);
  reset();
}

void SharedSessions::reset() {
  head_.newest = head_.oldest = 0;
  head_.heap.reset();
  pool_.recover();
  std::memset(buckets_, 0, (std::size_t{mask_} + 1) * sizeof(Ref));
}

void SharedSessions::lock() {
  const bool torn = head_.lock.lock() == ShmLock::Found::torn;
  head_.lock.begin_change();
  if (torn) reset();
}

void SharedSessions::unlock() {
  head_.lock.unlock();
}

std::uint32_t SharedSessions::hash(std::string_view id) const {
  return static_cast<std::uint32_t>(XXH3_64bits_withSeed(id.data(), id.size(), head_.seed));
}

SharedSessions::Node* SharedSessions::lookup(std::string_view id) const {
  const std::uint32_t h = hash(id);
  for (Ref ref = buckets_[h & mask_]; ref != 0;) {
    Node* node = at(ref);
    if (node->hash == h && std::string_view(node->id, node->id_size) == id) return node;
    ref = node->next;
  }
  return nullptr;
}

void SharedSessions::drop(Node* node) {
  const Ref ref = ref_of(node);
  Ref* link = &buckets_[node->hash & mask_];
  while (*link != ref) link = &at(*link)->next;
  *link = node->next;
  (node->newer != 0 ? at(node->newer)->older : head_.newest) = node->older;
  (node->older != 0 ? at(node->older)->newer : head_.oldest) = node->newer;
  OPENSSL_cleanse(node->session, node->size);
  head_.heap.release(pool_, node);
}

// Drops up to two sessions that have expired; one that has not, too, when room is needed.
void SharedSessions::expire(std::int64_t now, bool need_room) {
  for (int i = 0; i < 3 && head_.oldest != 0; ++i) {
    Node* node = at(head_.oldest);
    if (node->expires > now && !(need_room && i == 0)) return;
    drop(node);
  }
}

SharedSessions::Node* SharedSessions::allocate(std::size_t bytes) {
  return static_cast<Node*>(head_.heap.allocate(pool_, bytes));
}

bool SharedSessions::store(std::string_view id, std::string_view session, std::int64_t now,
                           std::int64_t expires) {
  if (id.empty() || id.size() > kMaxId || session.size() > kMaxSession) return true;
  lock();
  expire(now, false);
  if (Node* old = lookup(id)) drop(old);
  const std::size_t bytes = sizeof(Node) + session.size();
  Node* node = allocate(bytes);
  constexpr int kMostDropped = 16;  // what is dropped may be in other size classes
  for (int i = 0; node == nullptr && head_.oldest != 0 && i < kMostDropped; ++i) {
    expire(now, true);
    node = allocate(bytes);
  }
  if (node != nullptr) {
    node->hash = hash(id);
    node->expires = expires;
    node->size = static_cast<std::uint16_t>(session.size());
    node->id_size = static_cast<std::uint8_t>(id.size());
    id.copy(node->id, id.size());
    session.copy(node->session, session.size());
    Ref& bucket = buckets_[node->hash & mask_];
    const Ref ref = ref_of(node);
    node->next = bucket;
    bucket = ref;
    node->newer = 0;
    node->older = head_.newest;
    (head_.newest != 0 ? at(head_.newest)->newer : head_.oldest) = ref;
    head_.newest = ref;
  }
  unlock();
  return node != nullptr;
}

std::size_t SharedSessions::find(std::string_view id, std::int64_t now, char (&out)[kMaxSession]) {
  std::size_t size = 0;
  lock();
  if (Node* node = lookup(id)) {
    if (node->expires > now) {
      size = node->size;
      std::memcpy(out, node->session, size);
    } else {
      drop(node);
    }
  }
  unlock();
  return size;
}

void SharedSessions::remove(std::string_view id) {
  lock();
  if (Node* node = lookup(id)) drop(node);
  unlock();
}

std::array<TicketKey, 2> SharedSessions::ticket_keys(std::int64_t now, std::int64_t lifetime) {
  lock();
  TicketKey& present = head_.keys[0];
  TicketKey& before = head_.keys[1];
  if (present.expires <= now) {
    // Nothing that the present key has encrypted is valid any more when it expired that long ago.
    const bool still_good = present.expires != 0 && present.expires + lifetime > now;
    if (still_good) {
      before = present;
      before.expires = present.expires + lifetime;
    }
    TicketKey fresh;
    RAND_bytes(fresh.name, sizeof fresh.name);
    RAND_priv_bytes(fresh.hmac, sizeof fresh.hmac);
    RAND_priv_bytes(fresh.aes, sizeof fresh.aes);
    fresh.size = 80;
    fresh.expires = now + lifetime;
    present = fresh;
  }
  if (before.expires != 0 && before.expires <= now) {
    OPENSSL_cleanse(&before, sizeof before);
    before.expires = 0;
  }
  const std::array<TicketKey, 2> keys = {present, before};
  unlock();
  return keys;
}

// ---- one context's use of it

namespace {

int cache_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

std::string_view id_of(const SSL_SESSION* session) {
  unsigned size = 0;
  const unsigned char* id = SSL_SESSION_get_id(session, &size);
  return {reinterpret_cast<const char*>(id), size};
}

// A resumed TLS 1.3 session gets a new time of birth from OpenSSL and keeps its whole lifetime, so that it
// could be prolonged for ever, past the expiry or revocation of a client's certificate. It keeps what is left
// instead.
void keep_lifetime(const SSL* ssl, int where) {
  if ((where & SSL_CB_ACCEPT_LOOP) != SSL_CB_ACCEPT_LOOP || SSL_version(ssl) != TLS1_3_VERSION) return;
  Stream* stream = Stream::of(ssl);
  SSL_SESSION* session = SSL_get0_session(ssl);
  if (stream == nullptr || session == nullptr || std::exchange(stream->lifetime_kept, true)) return;
  const auto now = static_cast<long>(clock().seconds());
  const long born = SSL_SESSION_get_time(session);
  const long lifetime =
      std::min(SSL_SESSION_get_timeout(session), SSL_CTX_get_timeout(stream->session_context));
  if (now - born >= lifetime) {
    SSL_SESSION_set1_id_context(session, reinterpret_cast<const unsigned char*>(""), 0);
  } else {
    SSL_SESSION_set_time(session, now);
    SSL_SESSION_set_timeout(session, lifetime - (now - born));
  }
}

void on_info(const SSL* ssl, int where, int what) {
  if (where == SSL_CB_WRITE_ALERT && (what & 0xff) == SSL_AD_NO_RENEGOTIATION) {
    if (const Stream* stream = Stream::of(ssl)) log::info(stream->logger, "client attempted renegotiation");
    return;
  }
  keep_lifetime(ssl, where);
}

}  // namespace

SessionCache::~SessionCache() {
  for (TicketKey& key : keys_) OPENSSL_cleanse(&key, sizeof key);
}

SessionCache* SessionCache::of(SSL_CTX* context) {
  return static_cast<SessionCache*>(SSL_CTX_get_ex_data(context, cache_index()));
}

void SessionCache::install(SSL_CTX* context, const SessionOptions& options) {
  using Builtin = SessionOptions::Builtin;
  SSL_CTX_set_ex_data(context, cache_index(), this);
  SSL_CTX_set_timeout(context, options.timeout);
  SSL_CTX_set_info_callback(context, on_info);
  switch (options.builtin) {
    case Builtin::off:
      SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
      break;
    case Builtin::none:
      // Pretends to keep sessions: some clients insist on that, and tickets need it.
      SSL_CTX_set_session_cache_mode(
          context, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_AUTO_CLEAR | SSL_SESS_CACHE_NO_INTERNAL_STORE);
      SSL_CTX_sess_set_cache_size(context, 1);
      break;
    case Builtin::sized:
      SSL_CTX_sess_set_cache_size(context, options.builtin_size);
      [[fallthrough]];
    case Builtin::standard:
      SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_SERVER);
      break;
    case Builtin::shared_only:
      SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL);
      break;
  }
  if (zone_ != nullptr) install_callbacks(context);
  if (!options.tickets) SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  if (!keys_.empty() || zone_ != nullptr) SSL_CTX_set_tlsext_ticket_key_evp_cb(context, ticket);
}

void SessionCache::install_callbacks(SSL_CTX* context) {
  SSL_CTX_sess_set_new_cb(context, new_session);
  SSL_CTX_sess_set_get_cb(context, get_session);
  SSL_CTX_sess_set_remove_cb(context, remove_session);
}

void SessionCache::use_hooks(SSL_CTX* context) {
  if (hooks.fetch != nullptr || hooks.store != nullptr) install_callbacks(context);
}

int SessionCache::new_session(SSL* ssl, SSL_SESSION* session) {
  Stream* stream = Stream::of(ssl);
  SessionCache* self = stream != nullptr ? of(stream->session_context) : nullptr;
  if (self == nullptr) return 0;
  if (self->hooks.store != nullptr) self->hooks.store(ssl, session);
  SharedSessions* shared = self->shared();
  // With tickets the client keeps a TLS 1.3 session itself.
  const bool has_ticket =
      SSL_version(ssl) == TLS1_3_VERSION && (SSL_get_options(ssl) & SSL_OP_NO_TICKET) == 0;
  if (shared == nullptr || has_ticket) return 0;
  const int size = i2d_SSL_SESSION(session, nullptr);
  if (size <= 0 || static_cast<std::size_t>(size) > SharedSessions::kMaxSession) return 0;
  char encoded[SharedSessions::kMaxSession];
  auto* p = reinterpret_cast<unsigned char*>(encoded);
  i2d_SSL_SESSION(session, &p);
  const std::int64_t now = clock().seconds();
  const bool stored = shared->store(id_of(session), {encoded, static_cast<std::size_t>(size)}, now,
                                    now + SSL_CTX_get_timeout(stream->session_context));
  OPENSSL_cleanse(encoded, static_cast<std::size_t>(size));
  if (!stored && self->last_failure_ != now) {
    self->last_failure_ = now;
    log::warn(stream->logger, "could not allocate new session in SSL session shared cache \"{}\"",
              self->zone_->name());
  }
  return 0;
}

SSL_SESSION* SessionCache::get_session(SSL* ssl, const unsigned char* id, int size, int* copy) {
  *copy = 0;
  Stream* stream = Stream::of(ssl);
  SessionCache* self = stream != nullptr ? of(stream->session_context) : nullptr;
  if (self == nullptr) return nullptr;
  const std::string_view name{reinterpret_cast<const char*>(id), static_cast<std::size_t>(size)};
  if (self->hooks.fetch != nullptr) {
    if (SSL_SESSION* found = self->hooks.fetch(ssl, name)) return found;
  }
  SharedSessions* shared = self->shared();
  if (shared == nullptr) return nullptr;
  char encoded[SharedSessions::kMaxSession];
  const std::size_t found = shared->find(name, clock().seconds(), encoded);
  if (found == 0) return nullptr;
  const auto* p = reinterpret_cast<const unsigned char*>(encoded);
  SSL_SESSION* session = d2i_SSL_SESSION(nullptr, &p, static_cast<long>(found));
  OPENSSL_cleanse(encoded, found);
  return session;
}

void SessionCache::remove_session(SSL_CTX* context, SSL_SESSION* session) {
  SessionCache* self = of(context);
  SharedSessions* shared = self != nullptr ? self->shared() : nullptr;
  if (shared != nullptr) shared->remove(id_of(session));
}

void SessionCache::forget(SSL* ssl) {
  SSL_SESSION* session = SSL_get0_session(ssl);
  Stream* stream = Stream::of(ssl);
  if (session == nullptr || stream == nullptr) return;
  SSL_CTX_remove_session(stream->session_context, session);
  remove_session(stream->session_context, session);
}

// ---- tickets

Result<TicketKey> SessionCache::read_key(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(system_error(errno, "open() \"" + path + "\" failed"));
  struct stat st{};
  unsigned char bytes[80];
  ssize_t n = -1;
  if (fstat(fd, &st) == 0 && (st.st_size == 48 || st.st_size == 80)) n = ::read(fd, bytes, sizeof bytes);
  ::close(fd);
  if (n != 48 && n != 80) return fail("\"" + path + "\" must be 48 or 80 bytes", EINVAL);
  TicketKey key{};
  key.size = static_cast<std::uint8_t>(n);
  key.expires = 1;
  std::memcpy(key.name, bytes, 16);
  if (n == 48) {
    std::memcpy(key.aes, bytes + 16, 16);
    std::memcpy(key.hmac, bytes + 32, 16);
  } else {
    std::memcpy(key.hmac, bytes + 16, 32);
    std::memcpy(key.aes, bytes + 48, 32);
  }
  OPENSSL_cleanse(bytes, sizeof bytes);
  return key;
}

int SessionCache::ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                         EVP_MAC_CTX* mac, int encrypting) {
  Stream* stream = Stream::of(ssl);
  SessionCache* self = stream != nullptr ? of(stream->session_context) : nullptr;
  if (self == nullptr) return -1;
  std::array<TicketKey, 2> rotated;
  const TicketKey* keys = self->keys_.data();
  std::size_t count = self->keys_.size();
  if (count == 0) {
    SharedSessions* shared = self->shared();
    if (shared == nullptr) return -1;
    rotated = shared->ticket_keys(clock().seconds(), SSL_CTX_get_timeout(stream->session_context));
    keys = rotated.data();
    count = rotated.size();
  }
  std::size_t i = 0;
  if (encrypting == 0) {
    while (i < count && (keys[i].expires == 0 || std::memcmp(name, keys[i].name, TicketKey::kName) != 0)) ++i;
    if (i == count) return 0;
  }
  const TicketKey& key = keys[i];
  const EVP_CIPHER* algorithm = key.size == 48 ? EVP_aes_128_cbc() : EVP_aes_256_cbc();
  char digest[] = "SHA256";
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, const_cast<unsigned char*>(key.hmac),
                                        key.size == 48 ? 16 : 32),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end()};
  if (EVP_MAC_CTX_set_params(mac, parameters) != 1) return -1;
  if (encrypting != 0) {
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(algorithm)) != 1) return -1;
    if (EVP_EncryptInit_ex(cipher, algorithm, nullptr, key.aes, iv) != 1) return -1;
    std::memcpy(name, key.name, TicketKey::kName);
    return 1;
  }
  if (EVP_DecryptInit_ex(cipher, algorithm, nullptr, key.aes, iv) != 1) return -1;
  // A TLS 1.3 ticket serves once; one of an older key is replaced.
  return SSL_version(ssl) == TLS1_3_VERSION || i != 0 ? 2 : 1;
}

}  // namespace mp::tls
