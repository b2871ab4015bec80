// Ready-made parse functions for directive rows: `.parse = set<&ProxyConf::read_timeout>` reads the
// argument according to the type of the setting.
//
//   bool  std::string_view  std::int64_t  int  Size  Offset  Msec  Sec  Bufs  Access  Path  ConfPath
//   LevelledPath StringList (one more element a directive)    KeyValueList (one more pair a directive) enums
//   and bit masks: set_enum / set_bits with a table of names
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

#include "conf/context.hpp"
#include "conf/setting.hpp"
#include "conf/values.hpp"

namespace mp::conf {

// Readers of the whole argument list of `node` into a value, one per setting type.
Status read_value(Context& ctx, const Node& node, bool& out);
Status read_value(Context& ctx, const Node& node, std::string_view& out);
Status read_value(Context& ctx, const Node& node, std::int64_t& out);
Status read_value(Context& ctx, const Node& node, int& out);
Status read_value(Context& ctx, const Node& node, Size& out);
Status read_value(Context& ctx, const Node& node, Offset& out);
Status read_value(Context& ctx, const Node& node, Msec& out);
Status read_value(Context& ctx, const Node& node, Sec& out);
Status read_value(Context& ctx, const Node& node, Bufs& out);
Status read_value(Context& ctx, const Node& node, Access& out);
Status read_value(Context& ctx, const Node& node, Path& out);
Status read_value(Context& ctx, const Node& node, ConfPath& out);
Status read_value(Context& ctx, const Node& node, LevelledPath& out);

inline tl::unexpected<Error> duplicate() {
  return fail("is duplicate");
}

namespace detail {

template <class Member>
struct MemberOf;
template <class C, class V>
struct MemberOf<V C::*> {
  using conf = C;
  using setting = V;
};
template <auto Member>
auto& setting_of(Context& ctx) {
  return ctx.conf<typename MemberOf<decltype(Member)>::conf>().*Member;
}

template <class V>
Status set_value(Context& ctx, const Node& node, Setting<V>& setting) {
  if (setting.is_set()) return duplicate();
  V value{};
  TRY(read_value(ctx, node, value));
  setting.set(value);
  return {};
}
Status set_value(Context& ctx, const Node& node, Setting<StringList>& setting);
Status set_value(Context& ctx, const Node& node, Setting<KeyValueList>& setting);

struct NamedNumber {
  std::string_view name;
  std::uint64_t value;
};
Status find_name(Context& ctx, const Arg& arg, std::size_t count,
                 NamedNumber (*row)(const void*, std::size_t), const void* table, std::uint64_t& out);
Status check_bounds(Context& ctx, const Node& node, std::int64_t value, std::int64_t low, std::int64_t high);

}  // namespace detail

template <auto Member>
Status set(Context& ctx, const Node& node) {
  return detail::set_value(ctx, node, detail::setting_of<Member>(ctx));
}

inline constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();

// A number that must lie in [low, high].
template <auto Member, std::int64_t Low, std::int64_t High = kNoLimit>
Status set_between(Context& ctx, const Node& node) {
  auto& setting = detail::setting_of<Member>(ctx);
  TRY(detail::set_value(ctx, node, setting));
  return detail::check_bounds(ctx, node, static_cast<std::int64_t>(setting.get()), Low, High);
}

// A name out of a table: constexpr Named<Satisfy> kSatisfy[] = {{"all", Satisfy::all}, {"any",
// Satisfy::any}};
template <class E>
struct Named {
  std::string_view name;
  E value;
};

namespace detail {
template <class E>
NamedNumber row_of(const void* table, std::size_t i) {
  const auto& row = static_cast<const Named<E>*>(table)[i];
  return {row.name, static_cast<std::uint64_t>(row.value)};
}
template <class E, std::size_t N>
Status find_in(Context& ctx, const Arg& arg, const Named<E> (&table)[N], std::uint64_t& out) {
  return find_name(ctx, arg, N, row_of<E>, table, out);
}
Status add_bit(Context& ctx, const Arg& arg, std::uint64_t bit, std::uint64_t& bits);
}  // namespace detail

// .parse = set_enum<&CoreConf::satisfy, kSatisfy>
template <auto Member, const auto& Table>
Status set_enum(Context& ctx, const Node& node) {
  auto& setting = detail::setting_of<Member>(ctx);
  if (setting.is_set()) return duplicate();
  std::uint64_t value = 0;
  TRY(detail::find_in(ctx, node.args[0], Table, value));
  setting.set(static_cast<typename std::remove_reference_t<decltype(setting)>::value_type>(value));
  return {};
}

// Every argument is a name; their bits add up. The setting is an integer.
template <auto Member, const auto& Table>
Status set_bits(Context& ctx, const Node& node) {
  auto& setting = detail::setting_of<Member>(ctx);
  std::uint64_t bits = setting.is_set() ? setting.get() : 0;
  for (const Arg& arg : node.args) {
    std::uint64_t bit = 0;
    TRY(detail::find_in(ctx, arg, Table, bit));
    TRY(detail::add_bit(ctx, arg, bit, bits));
  }
  setting.set(static_cast<typename std::remove_reference_t<decltype(setting)>::value_type>(bits));
  return {};
}

}  // namespace mp::conf
