// TagParser: finds SSI commands ("<!--#name param="value" -->") in a text that comes in pieces. Memory is
// bounded by the limits on names and values, whatever the text is.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mp::filters::ssi {

struct Param {
  std::string name;
  std::string value;
};

struct Tag {
  std::string command;
  std::vector<Param> params;
};

class TagParser {
 public:
  static constexpr std::size_t kMostName = 32;
  static constexpr std::size_t kMostParams = 16;

  explicit TagParser(std::size_t most_value) : most_value_(most_value) {}

  enum class Event {
    more,   // all bytes were taken
    tag,    // tag() is a complete command
    wrong,  // a command cannot be understood: error() says why
    error,  // such a command ended
  };
  // Takes bytes from the front of `bytes`, at least one; text between commands is appended to `text`.
  Event feed(std::string_view& bytes, std::string& text);

  const Tag& tag() const { return tag_; }
  const std::string& error() const { return error_; }
  // What looked like the beginning of a command, at the end of the body.
  std::string_view unfinished() const { return state_ == State::text ? kStart.substr(0, matched_) : ""; }

 private:
  enum class State {
    text,
    before_command,
    command,
    before_param,
    param,
    before_equal,
    before_value,
    value,
    after_value,
    end0,
    end1,
    bad,
    bad_end0,
    bad_end1,
  };
  static constexpr std::string_view kStart = "<!--#";

  void feed_text(std::string_view& bytes, std::string& text);
  bool feed_tag(char c);  // true when the command is over
  void feed_value(char c);
  void add_to_name(std::string& name, char c, bool is_command);
  void refuse(std::string why, State next = State::bad);

  std::size_t most_value_;
  State state_ = State::text;
  std::size_t matched_ = 0;  // of kStart
  char quote_ = '"';
  bool escaped_ = false;
  Tag tag_;
  std::string error_;
};

}  // namespace mp::filters::ssi
