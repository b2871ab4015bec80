// Modules, the configuration types they register, and the sets those types live in.
//
// A configuration type is a plain struct that names its level and, when it needs to, how it inherits:
//
//   struct ProxyConf {
//     static constexpr Level kLevel = Level::location;
//     Setting<Msec> read_timeout;
//     Status merge(Context& ctx, const ProxyConf& parent);  // optional: take what was not set from outside
//     Status finish(Context& ctx);                          // optional: after everything was merged here
//     bool shared() const;  // optional: whether blocks inside that set nothing may use this very object
//   };
//   constexpr ConfType kConfs[] = {conf_type<ProxyConf>()};
//   constexpr Module kProxyModule = {.name = "proxy", .directives = kDirectives, .confs = kConfs};
//
// A ConfSet has a slot for every type of its level; the arena of the Configuration owns the objects. A block
// that sets nothing in a type has no object of its own: its slot names that of the block around it (of a type
// without merge(): one that nobody wrote to). So merge() may depend on nothing but the two objects where
// nothing was set, and who changes an object after merging changes it for all that share it; a type that
// cannot have this says so by shared(). At run time `set.get<ProxyConf>()` is one indexed load.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "base/arena.hpp"
#include "base/result.hpp"
#include "conf/directive.hpp"

namespace mp::conf {

// Which block a type belongs to: one object per configuration (process), per events {}, per http {}
// (main), per server {} and http {} (server), per location-like block, server {} and http {} (location),
// per upstream {}.
enum class Level : std::uint8_t { process, events, main, server, location, upstream };
inline constexpr std::size_t kLevels = 6;

inline constexpr std::uint32_t kNoIndex = 0xffffffff;

// The place of T in the sets of its level. Given once, when the module list is registered; constant after.
template <class T>
inline std::uint32_t conf_index = kNoIndex;

struct ConfSet;

// The sets that surround a place in the configuration, one per level; null where there is none.
struct Sets {
  std::array<ConfSet*, kLevels> at{};

  ConfSet*& operator[](Level level) { return at[std::size_t(level)]; }
  ConfSet* operator[](Level level) const { return at[std::size_t(level)]; }

  template <class T>
  T& get() const;
};

// The slots lie directly behind this header, the first of them in one cache line; made by
// Context::make_set(). While blocks are read, those of types in which nothing was set yet are empty; see
// Context::own().
struct alignas(void*) ConfSet {
  Level level;
  std::uint32_t size;  // number of slots
  ConfSet* parent;     // the set of the same level that this one inherits from, or null
  const Node* node;    // the block it was made for
  Sets around;         // the sets of the other levels that hold here, and this one

  void** slots() { return reinterpret_cast<void**>(this + 1); }
  template <class T>
  T& get() {
    return *static_cast<T*>(slots()[conf_index<T>]);
  }
};

template <class T>
T& Sets::get() const {
  return (*this)[T::kLevel]->template get<T>();
}

// One registered configuration type; merge, finish and shared are null when T has none.
struct ConfType {
  Level level;
  std::uint32_t* index;
  void* (*create)(Arena&);
  Status (*merge)(Context&, void* conf, const void* parent) = nullptr;
  Status (*finish)(Context&, void* conf) = nullptr;
  bool (*shared)(const void* conf) = nullptr;
};

template <class T>
constexpr ConfType conf_type() {
  ConfType type{T::kLevel, &conf_index<T>, [](Arena& arena) -> void* { return arena.make<T>(); }};
  if constexpr (requires(T& t, Context& ctx, const T& parent) { t.merge(ctx, parent); }) {
    static_assert(T::kLevel == Level::server || T::kLevel == Level::location, "only these levels inherit");
    type.merge = [](Context& ctx, void* conf, const void* parent) -> Status {
      return static_cast<T*>(conf)->merge(ctx, *static_cast<const T*>(parent));
    };
  }
  if constexpr (requires(T& t, Context& ctx) { t.finish(ctx); }) {
    type.finish = [](Context& ctx, void* conf) -> Status { return static_cast<T*>(conf)->finish(ctx); };
  }
  if constexpr (requires(const T& t) { t.shared(); }) {
    type.shared = [](const void* conf) { return static_cast<const T*>(conf)->shared(); };
  }
  return type;
}

struct Module {
  std::string_view name;
  std::span<const Directive> directives = {};
  std::span<const ConfType> confs = {};
  // Whether every request reads its settings: their slots are the first ones, in one cache line of a set.
  bool asked_always = false;

  // Called by the http {} block, in module order: before its directives are read (to define variables),
  // and after everything in it was merged.
  Status (*before_http)(Context&) = nullptr;
  Status (*after_http)(Context&) = nullptr;
};

}  // namespace mp::conf
