// ObjectCache: certificates, keys and lists that were loaded, by name, so that a file named by many servers
// is read once, and certificates named by variables are not read for each handshake. Belongs to the
// configuration; with variables each worker has its own contents.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include <sys/types.h>

#include "tls/handles.hpp"
#include "tls/load.hpp"

namespace mp::tls {

class ObjectCache {
 public:
  static constexpr std::int64_t kForEver = INT64_MAX;
  // At most `max` objects; those not asked for in `inactive` seconds leave; a file is looked at again after
  // `valid` seconds.
  ObjectCache(std::size_t max, std::int64_t valid, std::int64_t inactive)
      : max_(max), valid_(valid), inactive_(inactive) {}
  ObjectCache() : ObjectCache(SIZE_MAX, kForEver, kForEver) {}

  // As the functions of load.hpp. `again`: reads the file whatever is known, since it proved to be out of
  // date.
  CertsPtr certificates(std::string_view name, const char*& error, bool again = false);
  KeyPtr key(std::string_view name, const Passwords* passwords, const char*& error, bool again = false);
  CertsPtr authorities(std::string_view path, const char*& error);
  CrlsPtr crls(std::string_view path, const char*& error);

  // Objects of the configuration before, whose files have not changed, are taken over from it.
  void inherit_from(const ObjectCache* previous) { previous_ = previous; }

 private:
  enum class Kind : char { certificates = 'c', key = 'k', authorities = 'a', crls = 'r' };
  struct Entry {
    std::string id;
    CertsPtr certs;
    KeyPtr key;
    CrlsPtr crls;
    std::int64_t checked = 0;
    std::int64_t used = 0;
    ino_t file = 0;
    std::int64_t changed = 0;
  };
  using Place = std::list<Entry>::iterator;

  template <class Load>
  Entry* get(Kind kind, std::string_view name, bool again, Load load);
  void forget(Place place);
  void make_room(std::int64_t now);

  std::size_t max_;
  std::int64_t valid_;
  std::int64_t inactive_;
  const ObjectCache* previous_ = nullptr;
  std::list<Entry> recent_;  // the one used last in front
  std::unordered_map<std::string, Place> known_;
  Entry scratch_;  // what may not be kept
};

}  // namespace mp::tls
