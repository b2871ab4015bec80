#include "filters/ssi/tag_parser.hpp"

#include <fmt/core.h>

namespace mp::filters::ssi {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\r' || c == '\n' || c == '\t';
}

std::string quoted(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

}  // namespace

TagParser::Event TagParser::feed(std::string_view& bytes, std::string& text) {
  while (!bytes.empty()) {
    if (state_ == State::text) {
      feed_text(bytes, text);
      continue;
    }
    const char c = bytes.front();
    bytes.remove_prefix(1);
    const bool was_wrong = !error_.empty();
    if (feed_tag(c)) {
      state_ = State::text;
      return was_wrong ? Event::error : Event::tag;
    }
    if (!was_wrong && !error_.empty()) return Event::wrong;
  }
  return Event::more;
}

void TagParser::feed_text(std::string_view& bytes, std::string& text) {
  if (matched_ == 0) {
    const std::size_t at = bytes.find('<');
    text.append(bytes.substr(0, at));
    if (at == std::string_view::npos) return bytes.remove_prefix(bytes.size());
    bytes.remove_prefix(at + 1);
    matched_ = 1;
  }
  while (matched_ < kStart.size() && !bytes.empty()) {
    if (bytes.front() != kStart[matched_]) {
      text.append(kStart.substr(0, matched_));
      matched_ = 0;
      return;
    }
    bytes.remove_prefix(1);
    ++matched_;
  }
  if (matched_ < kStart.size()) return;
  matched_ = 0;
  tag_.command.clear();
  tag_.params.clear();
  error_.clear();
  state_ = State::before_command;
}

void TagParser::refuse(std::string why, State next) {
  error_ = std::move(why);
  state_ = next;
}

void TagParser::add_to_name(std::string& name, char c, bool is_command) {
  if (name.size() < kMostName) {
    name.push_back(c);
    return;
  }
  const std::string seen = "\"" + name + c + "...\"";
  if (is_command) return refuse("the " + seen + " SSI command is too long");
  refuse("too long " + seen + " parameter in " + quoted(tag_.command) + " SSI command");
}

// True behind the end of the command.
bool TagParser::feed_tag(char c) {
  const std::string shown = fmt::format("unexpected \"{}\" symbol", c);
  const auto of_command = [this] { return quoted(tag_.command) + " SSI command"; };
  const State bad = c == '-' ? State::bad_end0 : State::bad;
  switch (state_) {
    case State::before_command:
      if (is_blank(c)) break;
      tag_.command.push_back(c);
      state_ = State::command;
      break;
    case State::command:
      if (is_blank(c)) {
        state_ = State::before_param;
      } else if (c == '-') {
        state_ = State::end0;
      } else {
        add_to_name(tag_.command, c, true);
      }
      break;
    case State::before_param:
      if (is_blank(c)) break;
      if (c == '-') {
        state_ = State::end0;
        break;
      }
      if (tag_.params.size() > kMostParams) {
        refuse("too many SSI command parameters: " + quoted(tag_.command));
        break;
      }
      tag_.params.emplace_back().name.push_back(c);
      state_ = State::param;
      break;
    case State::param:
      if (is_blank(c)) {
        state_ = State::before_equal;
      } else if (c == '=') {
        state_ = State::before_value;
      } else if (c == '-') {
        refuse(shown + " after " + quoted(tag_.params.back().name) + " parameter in " + of_command(),
               State::bad_end0);
      } else {
        add_to_name(tag_.params.back().name, c, false);
      }
      break;
    case State::before_equal:
      if (is_blank(c)) break;
      if (c == '=') {
        state_ = State::before_value;
      } else {
        refuse(shown + " after " + quoted(tag_.params.back().name) + " parameter in " + of_command(), bad);
      }
      break;
    case State::before_value:
      if (is_blank(c)) break;
      if (c == '"' || c == '\'') {
        quote_ = c;
        escaped_ = false;
        state_ = State::value;
      } else {
        refuse(
            shown + " before value of " + quoted(tag_.params.back().name) + " parameter in " + of_command(),
            bad);
      }
      break;
    case State::value:
      feed_value(c);
      break;
    case State::after_value:
      if (is_blank(c)) {
        state_ = State::before_param;
      } else if (c == '-') {
        state_ = State::end0;
      } else {
        const Param& param = tag_.params.back();
        refuse(shown + " after " + quoted(param.value) + " value of " + quoted(param.name) +
               " parameter in " + of_command());
      }
      break;
    case State::end0:
      state_ = State::end1;
      if (c != '-') refuse(shown + " in " + of_command());
      break;
    case State::end1:
      if (c == '>') return true;
      refuse(shown + " in " + of_command());
      break;
    case State::bad:
      if (c == '-') state_ = State::bad_end0;
      break;
    case State::bad_end0:
      state_ = c == '-' ? State::bad_end1 : State::bad;
      break;
    case State::bad_end1:
      if (c == '>') return true;
      state_ = State::bad;
      break;
    case State::text:
      break;
  }
  return false;
}

// Backslashes stay: what they escape is known when the value is evaluated.
void TagParser::feed_value(char c) {
  Param& param = tag_.params.back();
  if (!escaped_ && c == quote_) {
    state_ = State::after_value;
    return;
  }
  if (param.value.size() >= most_value_) {
    return refuse("too long \"" + param.value + c + "...\" value of " + quoted(param.name) +
                  " parameter in " + quoted(tag_.command) + " SSI command");
  }
  param.value.push_back(c);
  escaped_ = !escaped_ && c == '\\';
}

}  // namespace mp::filters::ssi
