#include "tls/object_cache.hpp"

#include <sys/stat.h>

#include "base/clock.hpp"

namespace mp::tls {
namespace {

bool is_file(std::string_view name) {
  return !name.starts_with("data:") && !name.starts_with("engine:") && !name.starts_with("store:");
}

// Which file a name is now; zeros when there is none.
void identify(std::string_view name, ino_t& file, std::int64_t& changed) {
  struct stat st{};
  file = 0;
  changed = 0;
  if (!is_file(name) || stat(std::string(name).c_str(), &st) != 0) return;
  file = st.st_ino;
  changed = st.st_mtime;
}

CertsPtr share_all(const STACK_OF(X509) * certs) {
  return CertsPtr(X509_chain_up_ref(const_cast<STACK_OF(X509)*>(certs)));
}

CrlsPtr share_all(const STACK_OF(X509_CRL) * crls) {
  CrlsPtr copy(sk_X509_CRL_dup(crls));
  for (int i = 0; i < sk_X509_CRL_num(copy.get()); ++i) X509_CRL_up_ref(sk_X509_CRL_value(copy.get(), i));
  return copy;
}

}  // namespace

void ObjectCache::forget(Place place) {
  known_.erase(place->id);
  recent_.erase(place);
}

void ObjectCache::make_room(std::int64_t now) {
  for (int i = 0; i < 2 && !recent_.empty(); ++i) {
    const Place oldest = std::prev(recent_.end());
    if (inactive_ == kForEver || now - oldest->used <= inactive_) break;
    forget(oldest);
  }
  while (known_.size() >= max_ && !recent_.empty()) forget(std::prev(recent_.end()));
}

// `load` fills an entry; it returns 0 when it failed, 1 when the object may be kept, -1 when it may not.
template <class Load>
ObjectCache::Entry* ObjectCache::get(Kind kind, std::string_view name, bool again, Load load) {
  std::string id(1, static_cast<char>(kind));
  id.append(name);
  const std::int64_t now = clock().seconds();
  if (auto it = known_.find(id); it != known_.end()) {
    const Place place = it->second;
    bool good = !is_file(name) || (!again && (valid_ == kForEver || now - place->checked <= valid_));
    if (!good && !again) {
      ino_t file;
      std::int64_t changed;
      identify(name, file, changed);
      good = file != 0 && file == place->file && changed == place->changed;
      if (good) place->checked = now;
    }
    if (good) {
      place->used = now;
      recent_.splice(recent_.begin(), recent_, place);
      return &*place;
    }
    forget(place);
  }
  Entry fresh;
  identify(name, fresh.file, fresh.changed);
  int loaded = 0;
  if (previous_ != nullptr && !again) {
    const auto it = previous_->known_.find(id);
    if (it != previous_->known_.end() && it->second->file == fresh.file &&
        it->second->changed == fresh.changed && (!is_file(name) || fresh.file != 0)) {
      const Entry& old = *it->second;
      if (old.certs != nullptr) fresh.certs = share_all(old.certs.get());
      if (old.key != nullptr) fresh.key = share(old.key.get());
      if (old.crls != nullptr) fresh.crls = share_all(old.crls.get());
      loaded = 1;
    }
  }
  if (loaded == 0) loaded = load(fresh);
  if (loaded == 0) return nullptr;
  if (loaded < 0) {
    scratch_ = std::move(fresh);
    return &scratch_;
  }
  make_room(now);
  fresh.id = id;
  fresh.checked = fresh.used = now;
  recent_.push_front(std::move(fresh));
  known_.emplace(std::move(id), recent_.begin());
  return &recent_.front();
}

CertsPtr ObjectCache::certificates(std::string_view name, const char*& error, bool again) {
  const Entry* e = get(Kind::certificates, name, again, [&](Entry& entry) {
    entry.certs = load_certificates(name, error);
    return entry.certs != nullptr ? 1 : 0;
  });
  return e != nullptr ? share_all(e->certs.get()) : nullptr;
}

KeyPtr ObjectCache::key(std::string_view name, const Passwords* passwords, const char*& error, bool again) {
  const Entry* e = get(Kind::key, name, again, [&](Entry& entry) {
    bool encrypted = false;
    entry.key = load_key(name, passwords, error, encrypted);
    // Another server may know no password, and must not get the key by that.
    return entry.key == nullptr ? 0 : encrypted ? -1 : 1;
  });
  return e != nullptr ? share(e->key.get()) : nullptr;
}

CertsPtr ObjectCache::authorities(std::string_view path, const char*& error) {
  const Entry* e = get(Kind::authorities, path, false, [&](Entry& entry) {
    entry.certs = load_authorities(path, error);
    return entry.certs != nullptr ? 1 : 0;
  });
  return e != nullptr ? share_all(e->certs.get()) : nullptr;
}

CrlsPtr ObjectCache::crls(std::string_view path, const char*& error) {
  const Entry* e = get(Kind::crls, path, false, [&](Entry& entry) {
    entry.crls = load_crls(path, error);
    return entry.crls != nullptr ? 1 : 0;
  });
  return e != nullptr ? share_all(e->crls.get()) : nullptr;
}

}  // namespace mp::tls
