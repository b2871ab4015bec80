#include "phases/11_log/log_format.hpp"

#include "base/escape.hpp"
#include "http/core_conf.hpp"

namespace mp::phases {
namespace {

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

}  // namespace

Result<LogFormat> LogFormat::compile(conf::Context& ctx, std::string_view text, Escape escape) {
  LogFormat format;
  format.escape_ = escape;
  std::size_t plain = 0;
  std::size_t at = 0;
  while (at < text.size()) {
    if (text[at] != '$') {
      ++at;
      continue;
    }
    if (at > plain) format.parts_.push_back({text.substr(plain, at - plain)});
    const bool braced = at + 1 < text.size() && text[at + 1] == '{';
    const std::size_t start = at + (braced ? 2 : 1);
    std::size_t end = start;
    while (end < text.size() && is_name_char(text[end])) ++end;
    const std::string_view name = text.substr(start, end - start);
    if (braced && (end >= text.size() || text[end] != '}')) {
      return fail("the closing bracket in \"" + std::string(name) + "\" variable is missing");
    }
    if (name.empty()) return fail("invalid parameter \"" + std::string(text) + "\"");
    format.parts_.push_back({{}, ctx.conf<http::CoreMain>().variables.resolve(name)});
    at = end + (braced ? 1 : 0);
    plain = at;
  }
  if (at > plain) format.parts_.push_back({text.substr(plain)});
  return format;
}

void LogFormat::render(http::Request& r, std::string& out) const {
  for (const Part& part : parts_) {
    if (part.variable == nullptr) {
      out.append(part.text);
      continue;
    }
    const http::Value& value = r.fresh_variable(*part.variable);
    if (!value.found) {
      if (escape_ == Escape::default_) out.push_back('-');
      continue;
    }
    const std::size_t before = out.size();
    switch (escape_) {
      case Escape::none:
        out.append(value.text);
        break;
      case Escape::default_:
        out.resize(before + escaped_log_size(value.text));
        escape_log_into(out.data() + before, value.text);
        break;
      case Escape::json:
        out.resize(before + escaped_json_size(value.text));
        escape_json_into(out.data() + before, value.text);
        break;
    }
  }
}

}  // namespace mp::phases
