#include "http/template.hpp"

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "base/escape.hpp"
#include "base/put.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"

namespace mp::http {
namespace {

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// The name behind a '$' at the front of `rest`; empty when there is none.
struct Reference {
  std::string_view name;
  std::size_t length = 0;  // of the whole reference, '$' included
};

Result<Reference> read_reference(std::string_view rest) {
  if (rest.size() < 2 || rest == "${") return fail("invalid variable name");
  if (rest[1] >= '1' && rest[1] <= '9') return Reference{rest.substr(1, 1), 2};
  const bool braced = rest[1] == '{';
  const std::size_t start = braced ? 2 : 1;
  std::size_t end = start;
  while (end < rest.size() && is_name_char(rest[end])) ++end;
  const std::string_view name = rest.substr(start, end - start);
  if (braced && (end >= rest.size() || rest[end] != '}')) {
    return fail("the closing bracket in \"" + std::string(name) + "\" variable is missing");
  }
  if (name.empty()) return fail("invalid variable name");
  return Reference{name, end + (braced ? 1 : 0)};
}

}  // namespace

bool has_variables(std::string_view text) {
  return text.find('$') != std::string_view::npos;
}

Template Template::literal(std::string_view text) {
  Template t;
  t.source_ = text;
  return t;
}

Result<Template> Template::compile(conf::Context& ctx, std::string_view text) {
  std::vector<Part> parts;
  std::size_t plain = 0;
  std::size_t at = 0;
  auto end_plain = [&] {
    if (at > plain) parts.push_back({Part::Kind::text, text.substr(plain, at - plain)});
  };
  while (at < text.size()) {
    if (text[at] != '$') {
      ++at;
      continue;
    }
    const auto reference = read_reference(text.substr(at));
    if (!reference) return fail(reference.error());
    end_plain();
    const std::string_view name = reference->name;
    if (name.size() == 1 && name[0] >= '1' && name[0] <= '9') {
      parts.push_back({Part::Kind::capture, {}, nullptr, static_cast<std::uint32_t>(name[0] - '0')});
    } else {
      parts.push_back({Part::Kind::variable, {}, ctx.conf<CoreMain>().variables.resolve(name)});
    }
    at += reference->length;
    plain = at;
  }
  Template t = literal(text);
  if (parts.empty()) return t;
  end_plain();
  Part* const kept = ctx.arena().array<Part>(parts.size());
  std::copy(parts.begin(), parts.end(), kept);
  t.parts_ = {kept, parts.size()};
  return t;
}

std::string_view Template::put_together(Request& r) const {
  auto value_of = [&r](const Part& part) -> std::string_view {
    switch (part.kind) {
      case Part::Kind::text:
        return part.text;
      case Part::Kind::capture:
        return r.captures.at(part.capture);
      case Part::Kind::variable:
        return r.fresh_variable(*part.variable).text;
    }
    return {};
  };
  if (parts_.size() == 1) return value_of(parts_[0]);
  constexpr std::size_t kOnStack = 4;
  std::string_view few[kOnStack];
  std::string_view* values = parts_.size() <= kOnStack ? few : r.arena.array<std::string_view>(parts_.size());
  std::size_t size = 0;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    values[i] = value_of(parts_[i]);
    size += values[i].size();
  }
  char* out = r.arena.bytes(size);
  char* p = out;
  for (std::size_t i = 0; i < parts_.size(); ++i) p = put(p, values[i]);
  return {out, size};
}

Template::Target Template::evaluate_target(Request& r, bool redirect) const {
  std::string text;
  std::size_t args_at = std::string::npos;
  const bool was_escaped = r.quoted_uri || r.plus_in_uri;
  const Part only{Part::Kind::text, source_};
  for (const Part& part : constant() ? std::span<const Part>(&only, 1) : parts_) {
    switch (part.kind) {
      case Part::Kind::text: {
        const std::size_t question =
            args_at == std::string::npos ? part.text.find('?') : std::string_view::npos;
        text.append(part.text.substr(0, question));
        if (question == std::string_view::npos) break;
        args_at = text.size();
        text.append(part.text.substr(question + 1));
        break;
      }
      case Part::Kind::variable:
        text.append(r.fresh_variable(*part.variable).text);
        break;
      case Part::Kind::capture: {
        const std::string_view value = r.captures.at(part.capture);
        const bool escape = was_escaped && (redirect || args_at != std::string::npos);
        text.append(escape ? escape_uri(r.arena, value, UriEscape::args) : value);
        break;
      }
    }
  }
  const std::string_view all = r.arena.copy(text);
  if (args_at == std::string::npos) return {all, {}, false};
  return {all.substr(0, args_at), all.substr(args_at), true};
}

Status read_value(conf::Context& ctx, const conf::Node& node, Template& out) {
  auto compiled = Template::compile(ctx, node.args[0].text);
  if (!compiled) return ctx.error(node.args[0], compiled.error().text);
  out = std::move(*compiled);
  return {};
}

}  // namespace mp::http
