// The C functions that lua/moonphase/api/shdict.lua calls through LuaJIT's FFI. They never park, never call
// Lua and never throw. `dict` is a ShmDict, `set` a ShdictSet. Results: 0 is ok, 1 asks for a larger buffer
// (reply->size bytes), -1 is an error told in reply->error, -5 is "not found".
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <new>
#include <string>

#include "base/clock.hpp"
#include "fiber/thread_pool.hpp"
#include "lua/shdict/dict.hpp"
#include "lua/shdict/set.hpp"

namespace {

using mp::lua::ShdictSet;
using mp::lua::ShmDict;

constexpr int kDeclined = -5;

// Expiry runs on the monotonic clock: all workers share it and nobody sets it back. The worker's cached time
// may be old for other threads: it stands still while the worker has nothing to do.
std::uint64_t now() {
  if (mp::fiber::on_pool_thread()) {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<std::uint64_t>(t.tv_sec) * 1000 + static_cast<std::uint64_t>(t.tv_nsec) / 1000000;
  }
  return mp::clock().monotonic_ms();
}

// Lua's times: milliseconds with a fraction. What is no positive time, or beyond any, means "for ever".
std::uint64_t ttl_of(double ttl) {
  return ttl > 0 && ttl < 1e15 ? static_cast<std::uint64_t>(ttl) : 0;
}

ShmDict& dict_of(void* dict) {
  return *static_cast<ShmDict*>(dict);
}

ShmDict::Value value_of(int type, const char* bytes, std::size_t size, double number) {
  return {static_cast<ShmDict::Type>(type), number, {bytes, size}};
}

int code(ShmDict::Outcome outcome) {
  return static_cast<int>(outcome);
}

}  // namespace

extern "C" {

int mp_shdict_count(const void* set) {
  return static_cast<int>(static_cast<const ShdictSet*>(set)->size());
}

void* mp_shdict_at(const void* set, int i, const char** name, std::size_t* size) {
  ShmDict* dict = static_cast<const ShdictSet*>(set)->at(static_cast<std::size_t>(i));
  if (dict == nullptr) return nullptr;
  *name = dict->name().data();
  *size = dict->name().size();
  return dict;
}

int mp_shdict_get(void* dict, int stale_too, const char* key, std::size_t key_size, char* buffer,
                  std::size_t room, mp_shdict_reply* reply) {
  return code(dict_of(dict).get({key, key_size}, now(), stale_too != 0, buffer, room, *reply));
}

int mp_shdict_store(void* dict, int mode, const char* key, std::size_t key_size, int type, const char* bytes,
                    std::size_t size, double number, double ttl, int flags, mp_shdict_reply* reply) {
  return code(dict_of(dict).store(mode, {key, key_size}, value_of(type, bytes, size, number), now(),
                                  ttl_of(ttl), flags, *reply));
}

int mp_shdict_incr(void* dict, const char* key, std::size_t key_size, double by, int has_initial,
                   double initial, double ttl, mp_shdict_reply* reply) {
  return code(dict_of(dict).increment({key, key_size}, by, has_initial ? &initial : nullptr, ttl_of(ttl),
                                      now(), *reply));
}

// What scripts do most: one number in place of another, and a sum; without flags, times and errors. 0:
// nothing was done, it takes one of the above.
int mp_shdict_put_number(void* dict, const char* key, std::size_t key_size, double number) {
  return dict_of(dict).put_number({key, key_size}, number);
}

int mp_shdict_add_number(void* dict, const char* key, std::size_t key_size, double by,
                         mp_shdict_reply* reply) {
  return dict_of(dict).add_number({key, key_size}, by, now, reply->number);
}

int mp_shdict_push(void* dict, int right, const char* key, std::size_t key_size, int type, const char* bytes,
                   std::size_t size, double number, mp_shdict_reply* reply) {
  const auto end = right ? ShmDict::End::right : ShmDict::End::left;
  return code(dict_of(dict).push(end, {key, key_size}, value_of(type, bytes, size, number), now(), *reply));
}

int mp_shdict_pop(void* dict, int right, const char* key, std::size_t key_size, char* buffer,
                  std::size_t room, mp_shdict_reply* reply) {
  const auto end = right ? ShmDict::End::right : ShmDict::End::left;
  return code(dict_of(dict).pop(end, {key, key_size}, now(), buffer, room, *reply));
}

int mp_shdict_llen(void* dict, const char* key, std::size_t key_size, mp_shdict_reply* reply) {
  return code(dict_of(dict).length({key, key_size}, now(), *reply));
}

// The milliseconds left in reply->number.
int mp_shdict_ttl(void* dict, const char* key, std::size_t key_size, mp_shdict_reply* reply) {
  std::int64_t left = 0;
  if (!dict_of(dict).ttl({key, key_size}, now(), left)) return kDeclined;
  reply->number = static_cast<double>(left);
  return 0;
}

int mp_shdict_expire(void* dict, const char* key, std::size_t key_size, double ttl) {
  return dict_of(dict).expire({key, key_size}, now(), ttl_of(ttl)) ? 0 : kDeclined;
}

void mp_shdict_flush_all(void* dict) {
  dict_of(dict).flush_all(now());
}

double mp_shdict_flush_expired(void* dict, int limit) {
  return static_cast<double>(
      dict_of(dict).flush_expired(now(), limit > 0 ? static_cast<std::size_t>(limit) : 0));
}

// Keys, each behind its length in two bytes, in memory that the caller frees with mp_shdict_free_keys();
// null when there is none to be had.
char* mp_shdict_keys(void* dict, int limit, int* count) {
  *count = 0;
  try {
    std::string packed;
    *count =
        static_cast<int>(dict_of(dict).keys(now(), limit > 0 ? static_cast<std::size_t>(limit) : 0, packed));
    auto* copy = static_cast<char*>(std::malloc(packed.size() + 1));
    if (copy != nullptr) std::memcpy(copy, packed.data(), packed.size());
    return copy;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void mp_shdict_free_keys(char* keys) {
  std::free(keys);
}

double mp_shdict_capacity(void* dict) {
  return static_cast<double>(dict_of(dict).capacity());
}
double mp_shdict_free_space(void* dict) {
  return static_cast<double>(dict_of(dict).free_space());
}

}  // extern "C"
