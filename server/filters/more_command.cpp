#include "filters/more_command.hpp"

#include <algorithm>

#include "base/ascii.hpp"
#include "base/strings.hpp"

namespace mp::filters {

using conf::Arg;
using conf::Context;
using conf::Node;

namespace {

constexpr std::string_view kSpace = " \t\n\v\f\r";

// "Name: value", "Name:value", "Name value", "Name".
Status read_field(Context& ctx, const Node& node, const Arg& arg, bool clear, MoreField& field) {
  std::string_view text = arg.text;
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  const std::size_t end = text.find_first_of(": \t\n\v\f\r");
  field.name = text.substr(0, end);
  if (field.name.empty()) {
    return ctx.error(
        arg, std::string(node.name) + ": no key found in the header argument: " + std::string(arg.text));
  }
  field.wildcard = field.name.back() == '*';
  if (field.wildcard && field.name.size() < 2) {
    return ctx.error(arg, std::string(node.name) + ": wildcard key too short: " + std::string(arg.text));
  }
  if (field.wildcard) field.name.remove_suffix(1);
  field.id = field.wildcard ? http::HeaderId::unknown : http::header_id(field.name);
  if (clear || end == std::string_view::npos) return {};
  const std::size_t begin = text.find_first_not_of(": \t\n\v\f\r", end);
  if (begin == std::string_view::npos) return {};
  auto value = http::Template::compile(ctx, text.substr(begin));
  if (!value) return ctx.error(arg, value.error().text);
  field.value = std::move(*value);
  return {};
}

// Calls `each` for the words of `text` between any of `separators`.
template <class Each>
void for_words(std::string_view text, std::string_view separators, Each each) {
  while (true) {
    const std::size_t begin = text.find_first_not_of(separators);
    if (begin == std::string_view::npos) return;
    text.remove_prefix(begin);
    const std::size_t end = std::min(text.find_first_of(separators), text.size());
    each(text.substr(0, end));
    text.remove_prefix(end);
  }
}

Status read_statuses(Context& ctx, const Node& node, const Arg& arg, std::vector<int>& statuses) {
  char wrong = 0;
  for_words(arg.text, kSpace, [&](std::string_view word) {
    int status = 0;
    for (const char c : word) {
      if (!is_digit(c) && wrong == 0) wrong = c;
      status = std::min(status * 10 + (c - '0'), 10000);
    }
    statuses.push_back(status);
  });
  if (wrong == 0) return {};
  return ctx.error(arg, std::string(node.name) + ": invalid digit \"" + wrong +
                            "\" found in the status code list \"" + std::string(arg.text) + "\"");
}

bool is_builtin(http::HeaderId id) {
  using http::HeaderId;
  switch (id) {
    case HeaderId::server:
    case HeaderId::date:
    case HeaderId::content_encoding:
    case HeaderId::location:
    case HeaderId::refresh:
    case HeaderId::last_modified:
    case HeaderId::content_range:
    case HeaderId::accept_ranges:
    case HeaderId::www_authenticate:
    case HeaderId::expires:
    case HeaderId::content_length:
    case HeaderId::content_type:
    case HeaderId::cache_control:
      return true;
    default:
      return false;
  }
}

}  // namespace

bool MoreField::matches(const http::HeaderField& field) const {
  if (wildcard) return starts_with_nocase(field.name, name);
  return equals_nocase(field.name, name);
}

bool MoreCommand::wants_type(std::string_view type) const {
  return types.empty() || std::find(types.begin(), types.end(), type) != types.end();
}

bool MoreCommand::wants_status(int status) const {
  return statuses.empty() || std::find(statuses.begin(), statuses.end(), status) != statuses.end();
}

Result<MoreCommand> read_more_command(Context& ctx, const Node& node, std::string_view options, bool clear) {
  MoreCommand command;
  const std::string who(node.name);
  for (std::size_t i = 0; i < node.args.size(); ++i) {
    const Arg& arg = node.args[i];
    if (arg.text.empty()) continue;
    if (arg.text[0] != '-') {
      TRY(read_field(ctx, node, arg, clear, command.fields.emplace_back()));
      continue;
    }
    const char option = arg.text.size() == 2 ? arg.text[1] : '\0';
    if (option == '\0' || options.find(option) == std::string_view::npos) {
      return ctx.error(arg, who + ": invalid option name: \"" + std::string(arg.text) + "\"");
    }
    if (option == 'a') command.append = true;
    if (option == 'r') command.replace = true;
    if (option == 'a' || option == 'r') continue;
    if (i + 1 == node.args.size()) {
      return ctx.error(arg, who + ": option -" + option + " takes an argument.");
    }
    const Arg& list = node.args[++i];
    if (option == 's') {
      TRY(read_statuses(ctx, node, list, command.statuses));
    } else {
      for_words(list.text, " \t\n\v\f\r;", [&](std::string_view type) { command.types.push_back(type); });
    }
  }
  for (const MoreField& field : command.fields) {
    if (command.append && is_builtin(field.id)) {
      return ctx.error(node, who + ": can not append builtin headers \"" + std::string(field.name) + "\"");
    }
  }
  return command;
}

}  // namespace mp::filters
