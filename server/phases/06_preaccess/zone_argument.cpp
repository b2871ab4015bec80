#include <fmt/core.h>
#include <unistd.h>

#include "base/numbers.hpp"
#include "phases/06_preaccess/limit_modules.hpp"

namespace mp::phases {

Result<ZoneArgument> read_zone_argument(conf::Context& ctx, const conf::Arg& arg) {
  constexpr std::string_view kPrefix = "zone=";
  const std::string_view text = arg.text.substr(kPrefix.size());
  const std::size_t colon = text.find(':');
  const auto size = colon == std::string_view::npos ? std::nullopt : parse_size(text.substr(colon + 1));
  if (!size) return ctx.error(arg, fmt::format("invalid zone size \"{}\"", arg.text));
  if (*size < 8 * sysconf(_SC_PAGESIZE))
    return ctx.error(arg, fmt::format("zone \"{}\" is too small", arg.text));
  return ZoneArgument{text.substr(0, colon), static_cast<std::size_t>(*size)};
}

}  // namespace mp::phases
