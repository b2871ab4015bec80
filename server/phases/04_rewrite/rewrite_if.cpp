#include "phases/04_rewrite/rewrite_if.hpp"

#include <cerrno>
#include <functional>

#include <sys/stat.h>
#include <unistd.h>

#include "conf/configuration.hpp"
#include "http/core_blocks.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"

namespace mp::phases {

using conf::Context;
using conf::Node;
using http::Request;
using http::Step;

namespace {

class Condition {
 public:
  virtual ~Condition() = default;
  virtual bool holds(Request& r) const = 0;
};

struct IsTrue final : Condition {
  const http::Variable* variable;
  explicit IsTrue(const http::Variable* v) : variable(v) {}
  bool holds(Request& r) const override {
    const std::string_view text = r.fresh_variable(*variable).text;
    return !text.empty() && text != "0";
  }
};

struct Equals final : Condition {
  const http::Variable* variable;
  http::Template value;
  bool negated;
  Equals(const http::Variable* v, http::Template t, bool n) : variable(v), value(std::move(t)), negated(n) {}
  bool holds(Request& r) const override {
    const std::string_view left = r.arena.copy(r.fresh_variable(*variable).text);
    return (left == value.evaluate(r)) != negated;
  }
};

struct Matches final : Condition {
  const http::Variable* variable;
  http::HttpRegex regex;
  bool negated;
  Matches(const http::Variable* v, http::HttpRegex re, bool n)
      : variable(v), regex(std::move(re)), negated(n) {}
  bool holds(Request& r) const override {
    return regex.match(r, r.arena.copy(r.fresh_variable(*variable).text)) != negated;
  }
};

struct FileTest final : Condition {
  char kind;  // f, d, e, x
  bool negated;
  http::Template path;
  FileTest(char k, bool n, http::Template p) : kind(k), negated(n), path(std::move(p)) {}
  bool holds(Request& r) const override {
    const std::string name(path.evaluate(r));
    struct stat st{};
    if (::stat(name.c_str(), &st) != 0) {
      if (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG && errno != EACCES) {
        log::crit(r.logger, log::Errno{errno}, "stat() \"{}\" failed", name);
      }
      return negated;
    }
    bool yes = true;
    if (kind == 'f') yes = S_ISREG(st.st_mode);
    if (kind == 'd') yes = S_ISDIR(st.st_mode);
    if (kind == 'x') yes = (st.st_mode & S_IXUSR) != 0;
    return yes != negated;
  }
};

struct If final : http::Instruction {
  std::unique_ptr<Condition> condition;
  http::Script body;
  conf::ConfSet* set = nullptr;  // null in server {}: the location is not known yet
  Step run(Request& r) const override {
    if (!condition->holds(r)) return Step::decline();
    if (set != nullptr) r.enter_set(*set);
    return body.run(r);
  }
};

tl::unexpected<Error> invalid(std::string_view word) {
  return fail("invalid condition \"" + std::string(word) + "\"");
}

// Takes the parentheses around the arguments away. At least one argument is left.
Status strip_parentheses(std::vector<std::string_view>& words) {
  if (!words.front().starts_with('(')) return invalid(words.front());
  if (words.front().size() > 1) {
    words.front().remove_prefix(1);
  } else if (words.size() > 1) {
    words.erase(words.begin());
  }
  if (!words.back().ends_with(')') || words == std::vector<std::string_view>{")"}) {
    return invalid(words.back());
  }
  words.back().remove_suffix(1);
  if (words.back().empty()) words.pop_back();
  return {};
}

Result<std::unique_ptr<Condition>> file_test(Context& ctx, const std::vector<std::string_view>& words) {
  std::string_view option = words[0];
  const bool negated = option.starts_with('!');
  if (negated) option.remove_prefix(1);
  if (option.size() != 2 || option[0] != '-' ||
      std::string_view("fdex").find(option[1]) == std::string_view::npos) {
    return invalid(words[0]);
  }
  auto path = http::Template::compile(ctx, words[1]);
  if (!path) return fail(path.error());
  if (!words[1].starts_with('$') && path->constant())
    *path = http::Template::literal(ctx.full_path(words[1]));
  return std::make_unique<FileTest>(option[1], negated, std::move(*path));
}

Result<std::unique_ptr<Condition>> read_condition(Context& ctx, std::vector<std::string_view> words) {
  TRY(strip_parentheses(words));
  if (!words[0].starts_with('$')) {
    if (words.size() != 2) return invalid(words[0]);
    return file_test(ctx, words);
  }
  if (words[0].size() < 2) return invalid(words[0]);
  if (words.size() != 1 && words.size() != 3) return invalid(words[0]);
  std::string_view name = words[0].substr(1);
  if (name.starts_with('{') && name.ends_with('}')) name = name.substr(1, name.size() - 2);
  const http::Variable* variable = ctx.conf<http::CoreMain>().variables.resolve(name);
  if (words.size() == 1) return std::make_unique<IsTrue>(variable);
  const std::string_view op = words[1];
  if (op == "=" || op == "!=") {
    auto value = http::Template::compile(ctx, words[2]);
    if (!value) return fail(value.error());
    return std::make_unique<Equals>(variable, std::move(*value), op == "!=");
  }
  if (op == "~" || op == "~*" || op == "!~" || op == "!~*") {
    auto regex = http::HttpRegex::compile(ctx, words[2], op.ends_with('*'));
    if (!regex) return fail(regex.error());
    return std::make_unique<Matches>(variable, std::move(*regex), op.starts_with('!'));
  }
  return fail("unexpected \"" + std::string(op) + "\" in condition");
}

}  // namespace

Status parse_if(Context& ctx, const Node& node) {
  auto condition = read_condition(ctx, {node.args.begin(), node.args.end()});
  if (!condition) return ctx.error(condition.error().text);
  const bool in_server = ctx.scope() == conf::Scope::server;
  auto* made = ctx.arena().make<If>();
  made->condition = std::move(*condition);
  auto set = http::parse_block_set(ctx, node, in_server ? conf::Scope::server_if : conf::Scope::location_if);
  if (!set) return fail(set.error());
  if (!in_server) made->set = *set;
  // The inner instructions run as part of this one, not when the block's set is in force.
  made->body = std::exchange((*set)->get<http::CoreBlock>().script, http::Script());
  ctx.conf<http::CoreBlock>().script.add(*made);
  return {};
}

}  // namespace mp::phases
