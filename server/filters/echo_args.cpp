#include "filters/echo_args.hpp"

#include <algorithm>

#include "http/request.hpp"

namespace mp::filters {

Result<EchoArgs> EchoArgs::compile(conf::Context& ctx, const conf::Node& node) {
  EchoArgs args;
  bool options = true;
  for (const conf::Arg& arg : node.args) {
    const std::string_view text = arg.text;
    if (options && text.size() > 1 && text[0] == '-' && !http::has_variables(text)) {
      if (text[1] == '-') {
        options = false;
      } else {
        args.options_.push_back(text.substr(1));
      }
      continue;
    }
    options = false;
    auto value = http::Template::compile(ctx, text);
    if (!value) return ctx.error(arg, value.error().text);
    args.values_.push_back(std::move(*value));
  }
  return args;
}

bool EchoArgs::has_option(std::string_view name) const {
  return std::find(options_.begin(), options_.end(), name) != options_.end();
}

std::span<std::string_view> EchoArgs::evaluate(http::Request& r) const {
  const std::span<std::string_view> out(r.arena.array<std::string_view>(values_.size()), values_.size());
  for (std::size_t i = 0; i < values_.size(); ++i) out[i] = values_[i].evaluate(r);
  return out;
}

std::string_view EchoArgs::line(http::Request& r) const {
  const auto values = evaluate(r);
  const bool newline = !has_option("n");
  std::size_t size = newline ? 1 : 0;
  for (const std::string_view value : values) size += value.size() + 1;
  if (!values.empty()) --size;
  char* const text = r.arena.bytes(size);
  char* out = text;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) *out++ = ' ';
    out = std::copy(values[i].begin(), values[i].end(), out);
  }
  if (newline) *out++ = '\n';
  return {text, size};
}

}  // namespace mp::filters
