#include "filters/ssi/ssi.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <span>
#include <string>

#include "base/ascii.hpp"
#include "base/escape.hpp"
#include "filters/ssi/conf.hpp"
#include "filters/ssi/includes.hpp"
#include "filters/ssi/page.hpp"
#include "filters/ssi/tag_parser.hpp"
#include "http/file_io.hpp"
#include "http/piece_text.hpp"
#include "http/subrequest.hpp"
#include "http/uri.hpp"

namespace mp::filters {

using http::Output;
using http::Piece;
using http::Request;

namespace {

constexpr std::string_view kErrorText = "[an error occurred while processing the directive]";

// The response of a subrequest that becomes a variable's value.
class ValueSink final : public http::Sink {
 public:
  bool send_head(Request&, bool) override { return true; }
  bool send_body(Request& sub, const Output& output) override {
    if (value.size() + output.size() > sub.conf<SsiConf>().in_memory.get()) {
      log::error(sub.logger, "too big subrequest response");
      too_big = true;
      return false;
    }
    return http::append_text(value, output);
  }
  std::string value;
  bool too_big = false;
};

class SsiBody final : public http::BodyFilter {
 public:
  SsiBody(Request& r, const SsiConf& c)
      : r_(r),
        conf_(c),
        page_(r.main->ctx<ssi::Page>()),
        parser_(c.value_length.get()),
        includes_(r, [this](std::string_view text) { return pass_text(text); }) {}

  bool write(Request&, const Output& output) override {
    try {
      const bool ok = take_all(output);
      if (!ok) includes_.stop();
      return ok;
    } catch (const fiber::Cancelled&) {
      includes_.stop();
      throw;
    }
  }

 private:
  enum class Choice { none, in_if, in_else };
  using Params = std::span<const ssi::Param>;
  struct Command {
    std::string_view name;
    bool (SsiBody::*run)(Params);
    std::array<std::string_view, 5> params;  // those that may be given
    std::size_t mandatory;                   // of these, from the front
    bool conditional = false;
    Choice innermost = Choice::none;  // for conditional ones: the latest part of an `if` they may stand in
    bool ends_block = false;
  };
  static const Command kCommands[];

  bool take_all(const Output& output);
  bool take(std::string_view bytes);
  bool take_file(const Piece& piece);
  bool pass_text(std::string_view text) {
    const Piece piece = Piece::memory(text);
    return next(r_, Output{{&piece, 1}, false, false});
  }

  void show(std::string_view text);
  void run_tag();
  bool obey(const ssi::Tag& tag);
  bool check(const Command& command, const ssi::Tag& tag);
  void fail_tag() {
    if (!conf_.silent_errors) includes_.add_text(error_text_);
  }
  static const std::string* find(Params params, std::string_view name) {
    for (const ssi::Param& p : params) {
      if (p.name == name) return &p.value;
    }
    return nullptr;
  }

  bool include(Params params);
  bool check_include(Params params, bool& wait);
  bool include_into(const std::string& variable, std::string_view uri, std::string_view args);
  bool echo(Params params);
  bool config(Params params);
  bool set(Params params);
  bool if_(Params params);
  bool elif (Params params);
  bool choose(Params params);
  bool else_(Params params);
  bool endif(Params params);
  bool block(Params params);
  bool endblock(Params params);

  Request& r_;
  const SsiConf& conf_;
  ssi::Page& page_;
  ssi::TagParser parser_;
  std::string text_;
  std::string error_text_{kErrorText};
  std::string_view encoding_ = "entity";
  bool output_ = true;   // not inside of a block, nor of a part that was not chosen
  bool chosen_ = false;  // a part of the present `if` was
  Choice choice_ = Choice::none;
  std::string* block_ = nullptr;
  ssi::Includes includes_;
};

const SsiBody::Command SsiBody::kCommands[] = {
    {"include", &SsiBody::include, {"virtual", "file", "wait", "set", "stub"}, 0},
    {"echo", &SsiBody::echo, {"var", "default", "encoding"}, 1},
    {"config", &SsiBody::config, {"errmsg", "timefmt"}, 0},
    {"set", &SsiBody::set, {"var", "value"}, 2},
    {"if", &SsiBody::if_, {"expr"}, 1},
    {"elif", &SsiBody::elif, {"expr"}, 1, true, Choice::in_if},
    {"else", &SsiBody::else_, {}, 0, true, Choice::in_if},
    {"endif", &SsiBody::endif, {}, 0, true, Choice::in_else},
    {"block", &SsiBody::block, {"name"}, 1},
    {"endblock", &SsiBody::endblock, {}, 0, false, Choice::none, true},
};

// ---- the text

bool SsiBody::take_all(const Output& output) {
  for (const Piece& piece : output.pieces) {
    if (!(piece.in_file() ? take_file(piece) : take(piece.bytes))) return false;
  }
  if (!output.last) {
    if (!includes_.advance()) return false;
    return !output.flush || !includes_.empty() || next(r_, Output{{}, false, true});
  }
  show(parser_.unfinished());
  return includes_.finish() && next(r_, Output{{}, true, false});
}

bool SsiBody::take(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto event = parser_.feed(bytes, text_);
    show(text_);
    text_.clear();
    if (event == ssi::TagParser::Event::tag) {
      run_tag();
    } else if (event == ssi::TagParser::Event::wrong) {
      log::error(r_.logger, "{}", parser_.error());
    } else if (event == ssi::TagParser::Event::error) {
      fail_tag();
    }
    if (r_.aborted) return false;
  }
  return includes_.advance();
}

bool SsiBody::take_file(const Piece& piece) {
  constexpr std::size_t kRoom = 16 * 1024;
  const auto buffer = std::make_unique<char[]>(kRoom);
  off_t offset = piece.offset;
  for (std::size_t left = piece.file_size; left > 0;) {
    const ssize_t n = http::read_file(r_, piece.fd, {buffer.get(), std::min(kRoom, left)}, offset);
    if (n <= 0) {
      log::alert(r_.logger, log::Errno{n < 0 ? errno : 0}, "pread() read only {} of {} from a file",
                 piece.file_size - left, piece.file_size);
      return false;
    }
    if (!take({buffer.get(), static_cast<std::size_t>(n)})) return false;
    offset += n;
    left -= static_cast<std::size_t>(n);
  }
  return true;
}

void SsiBody::show(std::string_view text) {
  if (output_) return includes_.add_text(text);
  if (block_ != nullptr) block_->append(text);
}

// ---- commands

std::string written(const ssi::Tag& tag) {
  std::string text = "<!--#" + tag.command;
  for (const ssi::Param& p : tag.params)
    text.append(" ").append(p.name).append("=\"").append(p.value).append("\"");
  return text.append(" -->");
}

void SsiBody::run_tag() {
  if (!obey(parser_.tag())) fail_tag();
}

// False: it is wrong, and that was logged.
bool SsiBody::obey(const ssi::Tag& tag) {
  const auto command = std::find_if(std::begin(kCommands), std::end(kCommands),
                                    [&](const Command& c) { return c.name == tag.command; });
  if (command == std::end(kCommands)) {
    if (output_) log::error(r_.logger, "invalid SSI command: \"{}\"", tag.command);
    return !output_;
  }
  if (!output_ && !command->ends_block) {
    if (block_ != nullptr) {
      block_->append(written(tag));
      return true;
    }
    if (!command->conditional) return true;
  }
  if (command->conditional &&
      (choice_ == Choice::none || (command->innermost == Choice::in_if && choice_ == Choice::in_else))) {
    log::error(r_.logger, "invalid context of SSI command: \"{}\"", tag.command);
    return false;
  }
  return check(*command, tag) && (this->*command->run)(tag.params);
}

bool SsiBody::check(const Command& command, const ssi::Tag& tag) {
  if (tag.params.size() > ssi::TagParser::kMostParams) {
    log::error(r_.logger, "too many SSI command parameters: \"{}\"", tag.command);
    return false;
  }
  for (std::size_t i = 0; i < tag.params.size(); ++i) {
    const std::string& name = tag.params[i].name;
    if (std::find(command.params.begin(), command.params.end(), name) == command.params.end()) {
      log::error(r_.logger, "invalid parameter name: \"{}\" in \"{}\" SSI command", name, tag.command);
      return false;
    }
    if (find(Params(tag.params).first(i), name) != nullptr) {
      log::error(r_.logger, "duplicate \"{}\" parameter in \"{}\" SSI command", name, tag.command);
      return false;
    }
  }
  for (std::size_t i = 0; i < command.mandatory; ++i) {
    if (find(tag.params, command.params[i]) != nullptr) continue;
    log::error(r_.logger, "mandatory \"{}\" parameter is absent in \"{}\" SSI command", command.params[i],
               tag.command);
    return false;
  }
  return true;
}

bool SsiBody::check_include(Params params, bool& wait) {
  const std::string* uri = find(params, "virtual");
  const std::string* file = find(params, "file");
  if (uri != nullptr && file != nullptr) {
    log::error(r_.logger, "inclusion may be either virtual=\"{}\" or file=\"{}\"", *uri, *file);
    return false;
  }
  if (uri == nullptr && file == nullptr) {
    log::error(r_.logger, "no parameter in \"include\" SSI command");
    return false;
  }
  if (find(params, "set") != nullptr && find(params, "stub") != nullptr) {
    log::error(r_.logger, "\"set\" and \"stub\" cannot be used together in \"include\" SSI command");
    return false;
  }
  wait = file != nullptr;
  const std::string* given = find(params, "wait");
  if (given == nullptr) return true;
  if (file != nullptr) {
    log::error(r_.logger, "\"wait\" cannot be used with file=\"{}\"", *file);
    return false;
  }
  wait = equals_nocase(*given, "yes");
  if (!wait && !equals_nocase(*given, "no")) {
    log::error(r_.logger, "invalid value \"{}\" in the \"wait\" parameter", *given);
    return false;
  }
  return true;
}

bool SsiBody::include(Params params) {
  bool wait = false;
  if (!check_include(params, wait)) return false;
  const std::string* name = find(params, "virtual");
  if (name == nullptr) name = find(params, "file");
  std::string text;
  if (!ssi::Evaluator(r_, page_).evaluate_uri(*name, text)) return false;
  const auto uri = http::parse_internal_uri(r_.arena, r_.arena.copy(text));
  if (!uri) {
    log::error(r_.logger, "unsafe URI \"{}\" was detected", text);
    return false;
  }
  if (const std::string* variable = find(params, "set")) return include_into(*variable, uri->path, uri->args);
  const std::string* stub = find(params, "stub");
  if (stub != nullptr) {
    const auto found = page_.blocks.find(*stub);
    if (found == page_.blocks.end()) {
      log::error(r_.logger, "\"stub\"=\"{}\" for \"include\" not found", *stub);
      return false;
    }
    stub = &found->second;
  }
  if (http::too_deep(r_, uri->path)) return false;
  includes_.add(uri->path, uri->args, stub);
  if (wait) includes_.finish();
  return true;
}

// The variable has its value before anything behind the command is looked at.
bool SsiBody::include_into(const std::string& variable, std::string_view uri, std::string_view args) {
  std::string key(variable);
  std::transform(key.begin(), key.end(), key.begin(), [](char c) { return to_lower(c); });
  page_.variables.try_emplace(key);
  if (http::too_deep(r_, uri)) return false;
  if (!includes_.advance()) return true;
  ValueSink sink;
  http::SubrequestOptions options;
  options.args = args;
  options.share_variables = true;
  const int status = http::run_subrequest(r_, uri, options, sink);
  if (sink.too_big) r_.aborted = true;
  if (status < 300) page_.variables[key] = std::move(sink.value);
  return true;
}

bool SsiBody::echo(Params params) {
  std::string value;
  const bool found = ssi::Evaluator(r_, page_).variable(*find(params, "var"), value);
  if (!found) {
    const std::string* fallback = find(params, "default");
    value = fallback != nullptr ? *fallback : "(none)";
  }
  if (value.empty()) return true;
  if (const std::string* encoding = find(params, "encoding")) {
    constexpr std::string_view kEncodings[] = {"none", "url", "entity"};
    const auto known = std::find(std::begin(kEncodings), std::end(kEncodings), *encoding);
    if (known != std::end(kEncodings)) {
      encoding_ = *known;
    } else {
      log::error(r_.logger, "unknown encoding \"{}\" in the \"echo\" command", *encoding);
    }
  }
  if (encoding_ == "url") {
    includes_.add_text(escape_uri(r_.arena, value, UriEscape::html));
  } else if (encoding_ == "entity") {
    includes_.add_text(escape_html(r_.arena, value));
  } else {
    includes_.add_text(value);
  }
  return true;
}

bool SsiBody::config(Params params) {
  if (const std::string* format = find(params, "timefmt")) r_.ctx<SsiTimeFormat>().text = *format;
  if (const std::string* text = find(params, "errmsg")) error_text_ = *text;
  return true;
}

bool SsiBody::set(Params params) {
  std::string value;
  if (!ssi::Evaluator(r_, page_).evaluate(*find(params, "value"), value)) return false;
  std::string key(*find(params, "var"));
  std::transform(key.begin(), key.end(), key.begin(), [](char c) { return to_lower(c); });
  page_.variables[key] = std::move(value);
  return true;
}

bool SsiBody::if_(Params params) {
  if (choice_ != Choice::none) {
    log::error(r_.logger, "the \"if\" command inside the \"if\" command");
    return false;
  }
  return choose(params);
}
bool SsiBody::elif (Params params) {
  return choose(params);
}

bool SsiBody::choose(Params params) {
  if (chosen_) {
    output_ = false;
    return true;
  }
  bool holds = false;
  if (!ssi::Evaluator(r_, page_).test(*find(params, "expr"), holds)) return false;
  output_ = chosen_ = holds;
  choice_ = Choice::in_if;
  return true;
}

bool SsiBody::else_(Params) {
  output_ = !chosen_;
  choice_ = Choice::in_else;
  return true;
}

bool SsiBody::endif(Params) {
  output_ = true;
  chosen_ = false;
  choice_ = Choice::none;
  return true;
}

bool SsiBody::block(Params params) {
  block_ = &page_.blocks[*find(params, "name")];
  block_->clear();
  output_ = false;
  return true;
}

bool SsiBody::endblock(Params) {
  output_ = true;
  block_ = nullptr;
  return true;
}

}  // namespace

void ssi_page(Request& r) {
  const auto& c = r.conf<SsiConf>();
  if (!c.enabled || r.out.content_length == 0 || !c.types->contains(r.out.content_type)) return;
  r.clear_content_length();
  r.clear_accept_ranges();
  if (c.last_modified) {
    r.weaken_etag();
  } else {
    r.out.last_modified = -1;
    r.clear_etag();
  }
  r.add_body_filter<SsiBody>(r, c);
}

}  // namespace mp::filters
