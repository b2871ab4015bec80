// Directive rows: the constexpr tables that modules keep beside the code that obeys them.
//
//   constexpr Directive kDirectives[] = {
//       {.name = "allow", .where = kHttpServerLocation | Scope::limit_except, .args = exactly(1), .parse =
//       add_rule},
//       {.name = "gzip", .where = kHttpServerLocation, .args = flag(), .parse = set<&GzipConf::enabled>},
//       {.name = "map", .where = Scope::http, .args = exactly(2), .block = Block::raw, .parse = parse_map},
//   };
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.hpp"

namespace mp::conf {

class Context;
struct Node;

// Where a directive may stand: a set of bits, combined with |.
class Scope {
 public:
  constexpr Scope() = default;
  constexpr explicit Scope(std::uint16_t bits) : bits_(bits) {}

  static const Scope main, events, http, server, location, server_if, location_if, limit_except, upstream,
      any;

  constexpr bool overlaps(Scope other) const { return (bits_ & other.bits_) != 0; }
  constexpr std::uint16_t bits() const { return bits_; }
  friend constexpr Scope operator|(Scope a, Scope b) { return Scope(std::uint16_t(a.bits_ | b.bits_)); }
  friend constexpr bool operator==(Scope, Scope) = default;

 private:
  std::uint16_t bits_ = 0;
};

inline constexpr Scope Scope::main{1 << 0};
inline constexpr Scope Scope::events{1 << 1};
inline constexpr Scope Scope::http{1 << 2};
inline constexpr Scope Scope::server{1 << 3};
inline constexpr Scope Scope::location{1 << 4};
inline constexpr Scope Scope::server_if{1 << 5};    // if {} in server
inline constexpr Scope Scope::location_if{1 << 6};  // if {} in location
inline constexpr Scope Scope::limit_except{1 << 7};
inline constexpr Scope Scope::upstream{1 << 8};
inline constexpr Scope Scope::any{0xffff};

inline constexpr Scope kHttpServer = Scope::http | Scope::server;
inline constexpr Scope kHttpServerLocation = kHttpServer | Scope::location;
inline constexpr Scope kHttpServerLocationIf = kHttpServerLocation | Scope::location_if;
inline constexpr Scope kLocationOrIf = Scope::location | Scope::location_if;

// How many arguments: a set of allowed counts, combined with |. Bit 31 stands for 31 and all above.
class Arity {
 public:
  constexpr explicit Arity(std::uint32_t counts = 1) : counts_(counts) {}
  constexpr bool allows(std::size_t n) const { return (counts_ >> (n < 31 ? n : 31)) & 1; }
  friend constexpr Arity operator|(Arity a, Arity b) { return Arity(a.counts_ | b.counts_); }

 private:
  std::uint32_t counts_;
};

constexpr Arity exactly(unsigned n) {
  return Arity(1u << n);
}
constexpr Arity at_least(unsigned n) {
  return Arity(~0u << n);
}
constexpr Arity between(unsigned low, unsigned high) {
  return Arity((~0u << low) & ~(~0u << (high + 1)));
}
constexpr Arity none() {
  return exactly(0);
}
constexpr Arity flag() {
  return exactly(1);
}  // on or off; the setter of a Setting<bool> checks which
constexpr Arity any_number() {
  return at_least(0);
}

// What follows the arguments.
enum class Block : std::uint8_t {
  none,    // ';'
  nested,  // { directives }: the handler passes them to Context::children()
  raw,     // { free-form rows }: the handler reads node.children itself (types, map, geo, ...)
  lua,     // { Lua text }: in node.lua_body; the name ends in _by_lua_block
};

struct Directive {
  std::string_view name;
  Scope where;
  Arity args = none();
  Block block = Block::none;

  // Obeys one occurrence. Errors come from Context::error() (they carry a place), or are bare texts as in
  // `return fail("is duplicate")`, which the dispatcher completes to `"name" directive is duplicate in
  // FILE:LINE`.
  Status (*parse)(Context&, const Node&) = nullptr;
};

}  // namespace mp::conf
