#include "filters/more_headers.hpp"

#include "base/clock.hpp"
#include "base/numbers.hpp"
#include "base/strings.hpp"
#include "filters/more_command.hpp"
#include "http/remove_fields.hpp"
#include "http/request.hpp"

namespace mp::filters {

using conf::Context;
using conf::Node;
using http::HeaderField;
using http::HeaderId;
using http::Headers;
using http::Request;

namespace {

struct MoreHeadersConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  std::vector<MoreCommand> commands;

  // Those of the surrounding blocks run first, so that the inner ones have the last word.
  Status merge(Context&, const MoreHeadersConf& parent) {
    commands.insert(commands.begin(), parent.commands.begin(), parent.commands.end());
    return {};
  }
};

template <bool Clear>
Status parse_command(Context& ctx, const Node& node) {
  auto command = read_more_command(ctx, node, Clear ? "st" : "sta", Clear);
  if (!command) return fail(std::move(command.error()));
  ctx.conf<MoreHeadersConf>().commands.push_back(std::move(*command));
  return {};
}

// The type without a charset, which is what -t is compared with.
std::string_view plain_type(const Request& r) {
  const std::string_view type = r.out.content_type;
  const std::size_t end = type.find(';');
  if (end == std::string_view::npos) return type;
  return starts_with_nocase(trim_left(type.substr(end + 1)), "charset=") ? type.substr(0, end) : type;
}

void set_type(Request& r, std::string_view value) {
  r.out.content_type = value;
  if (value.empty() || plain_type(r).size() != value.size()) r.out.charset = {};
}

// The first field of that name gets the value, others go.
void replace_fields(Headers& headers, const MoreField& field, std::string_view value) {
  if (value.empty()) {
    http::remove_fields(headers, [&](const HeaderField& f) { return field.matches(f); });
    return;
  }
  HeaderField* first = nullptr;
  for (HeaderField& f : headers) {
    if (first == nullptr && field.matches(f)) first = &f;
  }
  if (first == nullptr) {
    headers.add({field.name, value, field.id});
    return;
  }
  first->value = value;
  const HeaderField* const kept = first;
  http::remove_fields(headers, [&](const HeaderField& f) { return &f != kept && field.matches(f); });
}

bool set_field(Request& r, const MoreField& field, std::string_view value, bool append) {
  Headers& headers = r.out.headers;
  switch (field.id) {
    case HeaderId::content_type:
      set_type(r, value);
      return true;
    case HeaderId::content_length: {
      const auto length = value.empty() ? std::int64_t{-1} : parse_natural<std::int64_t>(value);
      if (!length) return false;
      r.out.content_length = *length;
      return true;
    }
    case HeaderId::server:
    case HeaderId::date:
      headers.set(field.id, value);  // an empty one keeps the server from sending its own
      return true;
    case HeaderId::last_modified:
      r.out.last_modified = -1;
      break;
    case HeaderId::accept_ranges:
      if (value.empty()) r.out.allow_ranges = false;
      break;
    default:
      break;
  }
  if (append && !value.empty()) {
    headers.add({field.name, value, field.id});
  } else {
    replace_fields(headers, field, value);
  }
  return true;
}

constexpr conf::Directive kDirectives[] = {
    {.name = "more_set_headers",
     .where = conf::kHttpServerLocationIf,
     .args = conf::at_least(1),
     .parse = parse_command<false>},
    {.name = "more_clear_headers",
     .where = conf::kHttpServerLocationIf,
     .args = conf::at_least(1),
     .parse = parse_command<true>},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<MoreHeadersConf>()};

}  // namespace

void more_headers(Request& r) {
  for (const MoreCommand& command : r.conf<MoreHeadersConf>().commands) {
    if (!command.wants_type(plain_type(r)) || !command.wants_status(r.out.status)) continue;
    for (const MoreField& field : command.fields) {
      const std::string_view value = field.value.evaluate(r);
      if (!set_field(r, field, value, command.append)) {
        log::error(r.logger, "more_set_headers: \"{}\" is no value for \"{}\"", value, field.name);
      }
    }
  }
}

const conf::Module kMoreHeadersModule = {
    .name = "http_headers_more", .directives = kDirectives, .confs = kConfs};

}  // namespace mp::filters
