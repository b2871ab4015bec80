#include "conf/setters.hpp"

#include <string>

#include "base/ascii.hpp"
#include "base/numbers.hpp"

namespace mp::conf {

namespace {

std::string quoted(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

tl::unexpected<Error> invalid_value() {
  return fail("invalid value");
}

template <class T>
Status take(std::optional<std::int64_t> value, T& out) {
  if (!value) return invalid_value();
  out = T(*value);
  return {};
}

}  // namespace

Status read_value(Context& ctx, const Node& node, bool& out) {
  const std::string_view text = node.arg(0);
  out = equals_nocase(text, "on");
  if (out || equals_nocase(text, "off")) return {};
  return ctx.error(node.args[0], "invalid value " + quoted(text) + " in " + quoted(node.name) +
                                     " directive, it must be \"on\" or \"off\"");
}

Status read_value(Context&, const Node& node, std::string_view& out) {
  out = node.arg(0);
  return {};
}

Status read_value(Context&, const Node& node, std::int64_t& out) {
  const auto value = parse_natural<std::int64_t>(node.arg(0));
  if (!value) return fail("invalid number");
  out = *value;
  return {};
}

Status read_value(Context&, const Node& node, int& out) {
  const auto value = parse_natural<int>(node.arg(0));
  if (!value) return fail("invalid number");
  out = *value;
  return {};
}

Status read_value(Context&, const Node& node, Size& out) {
  return take(parse_size(node.arg(0)), out);
}

Status read_value(Context&, const Node& node, Offset& out) {
  return take(parse_offset(node.arg(0)), out);
}

Status read_value(Context&, const Node& node, Msec& out) {
  return take(parse_milliseconds(node.arg(0)), out);
}

Status read_value(Context&, const Node& node, Sec& out) {
  return take(parse_seconds(node.arg(0)), out);
}

Status read_value(Context&, const Node& node, Bufs& out) {
  const auto count = parse_natural<std::int64_t>(node.arg(0));
  const auto size = parse_size(node.arg(1));
  if (!count || *count == 0 || !size || *size == 0) return invalid_value();
  out = {std::size_t(*count), std::size_t(*size)};
  return {};
}

// The owner may read and write unless the directive says something else of it.
Status read_value(Context& ctx, const Node& node, Access& out) {
  unsigned mode = 0;
  unsigned owner = 0600;
  for (const Arg& arg : node.args) {
    const std::size_t colon = arg.text.find(':');
    const std::string_view who = arg.text.substr(0, colon);
    const std::string_view what = colon == arg.text.npos ? std::string_view() : arg.text.substr(colon + 1);
    const int shift = who == "user" ? 6 : who == "group" ? 3 : who == "all" ? 0 : -1;
    const unsigned right = what == "rw" ? 6 : what == "r" ? 4 : 0;
    if (shift < 0 || right == 0) return ctx.error(arg, "invalid value " + quoted(arg.text));
    if (shift == 6) owner = 0;
    mode |= right << shift;
  }
  out = mode | owner;
  return {};
}

Status read_value(Context& ctx, const Node& node, Path& out) {
  out.text = node.arg(0).empty() ? std::string_view() : ctx.full_path(node.arg(0));
  return {};
}

Status read_value(Context& ctx, const Node& node, ConfPath& out) {
  out.text = node.arg(0).empty() ? std::string_view() : ctx.full_conf_path(node.arg(0));
  return {};
}

Status read_value(Context& ctx, const Node& node, LevelledPath& out) {
  constexpr std::int64_t kMaxLength = 10;  // of all levels together
  std::string_view path = node.arg(0);
  if (path.ends_with('/')) path.remove_suffix(1);
  out.path = ctx.full_path(path);
  std::int64_t length = 0;
  for (std::size_t i = 1; i < node.args.size(); ++i) {
    const auto level = parse_natural<std::int64_t>(node.arg(i), kMaxLength);
    if (!level || *level == 0 || i > std::size(out.levels)) return invalid_value();
    out.levels[i - 1] = std::uint8_t(*level);
    length += *level;
  }
  return length > kMaxLength ? Status(invalid_value()) : Status();
}

namespace detail {

Status set_value(Context& ctx, const Node& node, Setting<StringList>& setting) {
  setting.edit().push(ctx.arena(), node.arg(0));
  return {};
}

Status set_value(Context& ctx, const Node& node, Setting<KeyValueList>& setting) {
  setting.edit().push(ctx.arena(), {node.arg(0), node.arg(1)});
  return {};
}

Status find_name(Context& ctx, const Arg& arg, std::size_t count,
                 NamedNumber (*row)(const void*, std::size_t), const void* table, std::uint64_t& out) {
  for (std::size_t i = 0; i < count; ++i) {
    const NamedNumber named = row(table, i);
    if (!equals_nocase(named.name, arg.text)) continue;
    out = named.value;
    return {};
  }
  return ctx.error(arg, "invalid value " + quoted(arg.text));
}

Status check_bounds(Context& ctx, const Node& node, std::int64_t value, std::int64_t low, std::int64_t high) {
  if (value >= low && value <= high) return {};
  if (high == kNoLimit) {
    return ctx.error(node.args[0], "value must be equal to or greater than " + std::to_string(low));
  }
  return ctx.error(node.args[0],
                   "value must be between " + std::to_string(low) + " and " + std::to_string(high));
}

Status add_bit(Context& ctx, const Arg& arg, std::uint64_t bit, std::uint64_t& bits) {
  if ((bits & bit) != 0) ctx.warn(arg, "duplicate value " + quoted(arg.text));
  bits |= bit;
  return {};
}

}  // namespace detail

}  // namespace mp::conf
