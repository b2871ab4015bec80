#include "conf/context.hpp"

#include <cassert>
#include <utility>

#include "conf/configuration.hpp"
#include "conf/lexer.hpp"
#include "conf/process_conf.hpp"

namespace mp::conf {

Arena& Context::arena() {
  return configuration_.arena_;
}

std::span<const Module* const> Context::modules() const {
  return configuration_.registry_.modules();
}

// --- mistakes --------------------------------------------------------------------------------------------

tl::unexpected<Error> Context::report(Diagnostic diagnostic) {
  std::string text = headline(diagnostic, configuration_.sources_);
  configuration_.diagnostics_.push_back(std::move(diagnostic));
  return fail(std::move(text), kReported);
}

namespace {

Diagnostic about(const Node& node, std::string text) {
  return {.text = std::move(text), .where = node.end, .marked = node.position, .length = node.name_length};
}

// An argument of the directive itself is reported on the line that ends the directive, one of a row in its
// block on its own line.
Diagnostic about(const Node* node, const Arg& arg, std::string text) {
  const bool own =
      node != nullptr && node->end.file == arg.position.file && arg.position.line <= node->end.line;
  return {.text = std::move(text),
          .where = own ? node->end : arg.position,
          .marked = arg.position,
          .length = arg.length};
}

}  // namespace

tl::unexpected<Error> Context::error(std::string text) {
  if (node_ != nullptr) return error(*node_, std::move(text));
  return report({.text = std::move(text)});
}

tl::unexpected<Error> Context::error(const Node& node, std::string text) {
  return report(about(node, std::move(text)));
}

tl::unexpected<Error> Context::error(const Arg& arg, std::string text) {
  return report(about(node_, arg, std::move(text)));
}

tl::unexpected<Error> Context::error(Position position, std::string text) {
  return report({.text = std::move(text), .where = position, .marked = position});
}

void Context::warn(const Node& node, std::string text) {
  configuration_.diagnostics_.push_back(about(node, std::move(text)));
  configuration_.diagnostics_.back().severity = Diagnostic::Severity::warning;
}

void Context::warn(const Arg& arg, std::string text) {
  configuration_.diagnostics_.push_back(about(node_, arg, std::move(text)));
  configuration_.diagnostics_.back().severity = Diagnostic::Severity::warning;
}

// What a handler failed with, as a message with a place: bare texts follow the directive's name.
tl::unexpected<Error> Context::complete(const Node* node, Error error) {
  if (error.code == kReported) return tl::unexpected<Error>(std::move(error));
  if (node == nullptr) return report({.text = std::move(error.text)});
  if (error.code != 0) return this->error(*node, std::move(error.text));
  return this->error(*node, "\"" + std::string(node->name) + "\" directive " + error.text);
}

// --- directives ------------------------------------------------------------------------------------------

Context::Within::Within(Context& ctx, Scope scope, const Sets& sets)
    : ctx_(ctx),
      scope_(std::exchange(ctx.scope_, scope)),
      sets_(std::exchange(ctx.sets_, sets)),
      node_(ctx.node_) {}

Context::Within::~Within() {
  ctx_.scope_ = scope_;
  ctx_.sets_ = sets_;
  ctx_.node_ = node_;
}

Status Context::children(const Node& node) {
  return obey(node.children);
}

Status Context::children(const Node& node, Scope scope, const Sets& sets) {
  const Within block(*this, scope, sets);
  return obey(node.children);
}

Status Context::obey(NodeList nodes) {
  for (const Node& node : nodes) TRY(dispatch(node));
  return {};
}

Status Context::dispatch(const Node& node) {
  if (node.kind == Node::Kind::error) return report(*configuration_.syntax_error_);
  for (const Directive* directive : configuration_.registry_.find(node.name)) {
    if (!directive->where.overlaps(scope_)) continue;
    TRY(check_shape(node, *directive));
    const Node* outer = std::exchange(node_, &node);
    Status status = directive->parse(*this, node);
    node_ = outer;
    if (!status) return complete(&node, std::move(status.error()));
    return {};
  }
  return not_usable(node);
}

Status Context::check_shape(const Node& node, const Directive& directive) {
  const std::string name(node.name);
  if (directive.block == Block::none && node.has_block) {
    return error(node, "directive \"" + name + "\" is not terminated by \";\"");
  }
  if (directive.block != Block::none && !node.has_block) {
    return error(node, "directive \"" + name + "\" has no opening \"{\"");
  }
  if (!directive.args.allows(node.args.size())) {
    Diagnostic diagnostic = about(node, "invalid number of arguments in \"" + name + "\" directive");
    std::uint32_t line = node.position.line;
    for (const Arg& arg : node.args) {
      if (arg.position.line > line && !arg.quoted && !configuration_.registry_.find(arg.text).empty()) {
        diagnostic.hint = missing_semicolon_hint(line);
        break;
      }
      line = arg.position.line;
    }
    return report(std::move(diagnostic));
  }
  if (directive.block == Block::none || directive.block == Block::nested) return {};
  for (const Node& row : node.children) {
    if (row.kind == Node::Kind::error) return report(*configuration_.syntax_error_);
    if (row.has_block) return error(row.end, "unexpected \"{\"");
  }
  return {};
}

tl::unexpected<Error> Context::not_usable(const Node& node) {
  const Registry& registry = configuration_.registry_;
  const auto known = registry.find(node.name);
  if (known.empty()) {
    Diagnostic diagnostic = about(node, "unknown directive \"" + std::string(node.name) + "\"");
    const std::string_view nearest = registry.nearest(node.name, scope_);
    if (!nearest.empty()) diagnostic.hint = "did you mean \"" + std::string(nearest) + "\"?";
    return report(std::move(diagnostic));
  }
  Diagnostic diagnostic = about(node, "\"" + std::string(node.name) + "\" directive is not allowed here");
  Scope where;
  for (const Directive* directive : known) where = where | directive->where;
  diagnostic.hint = "it belongs into: " + describe(where);
  return report(std::move(diagnostic));
}

// --- sets ------------------------------------------------------------------------------------------------

ConfSet* Context::make_set(Level level, const Node* node, ConfSet* parent, const Sets& around) {
  Arena& arena = configuration_.arena_;
  const std::uint32_t size = configuration_.registry_.set_size(level);
  constexpr std::size_t kLine = 64;
  static_assert(sizeof(ConfSet) % kLine <= 8, "the first slots lie in one line");
  void* memory = arena.allocate(sizeof(ConfSet) + size * sizeof(void*), kLine);
  auto* set = new (memory) ConfSet{level, size, parent, node, around};
  for (std::uint32_t i = 0; i < size; ++i) set->slots()[i] = nullptr;
  // What can be inherited is made when something is set; the rest is there from the start.
  if (level != Level::server && level != Level::location) {
    for (const ConfType* type : configuration_.registry_.types(level)) {
      set->slots()[*type->index] = type->create(arena);
    }
  }
  set->around[level] = set;
  configuration_.sets_[std::size_t(level)].push_back(set);
  return set;
}

Sets Context::nested_sets(const Node& node, std::initializer_list<Level> fresh) {
  Sets sets = sets_;
  for (Level level : fresh) {
    sets[level] = make_set(level, &node, sets_[level], sets);
    if (sets_[level] == nullptr && level != Level::upstream) configuration_.root_[level] = sets[level];
  }
  for (Level level : fresh) sets[level]->around = sets;  // each sees those made after it, too
  return sets;
}

Status Context::finish_set(ConfSet& set, const ConfType& type) {
  if (type.finish == nullptr) return {};
  return type.finish(*this, set.slots()[*type.index]);
}

Status Context::finish_level(const Module& module, Level level) {
  for (const ConfType& type : module.confs) {
    if (type.level != level) continue;
    for (ConfSet* set : configuration_.sets(level)) {
      sets_ = set->around;
      node_ = set->node;
      if (Status status = finish_set(*set, type); !status) return complete(node_, std::move(status.error()));
    }
  }
  return {};
}

// `untouched` is the object of the blocks that set nothing and have no merged one around them to share.
Status Context::merge_set(ConfSet& set, const ConfType& type, void*& untouched) {
  void*& mine = set.slots()[*type.index];
  void* const outer = set.parent->slots()[*type.index];
  if (mine == nullptr) {
    const bool outer_is_merged = type.merge != nullptr && set.parent->parent != nullptr;
    void* const common = outer_is_merged ? outer : untouched;
    if (common != nullptr && (type.shared == nullptr || type.shared(common))) {
      mine = common;
      return {};
    }
    mine = type.create(configuration_.arena_);
    if (!outer_is_merged) untouched = mine;
  }
  if (type.merge != nullptr) TRY(type.merge(*this, mine, outer));
  return finish_set(set, type);
}

Status Context::merge_type(const ConfType& type) {
  void* untouched = nullptr;
  bool touched_outside = false;
  for (ConfSet* set : configuration_.sets(type.level)) {
    if (set->parent == nullptr) {  // http {}
      void*& slot = set->slots()[*type.index];
      touched_outside = slot != nullptr && type.merge != nullptr;
      if (slot == nullptr) slot = type.create(configuration_.arena_);
      continue;
    }
    sets_ = set->around;
    node_ = set->node;
    if (Status status = merge_set(*set, type, untouched); !status) {
      return complete(node_, std::move(status.error()));
    }
  }
  if (untouched != nullptr && !touched_outside) configuration_.untouched_.insert(untouched);
  return {};
}

Status Context::merge_level(const Module& module, Level level) {
  for (const ConfType& type : module.confs) {
    if (type.level == level) TRY(merge_type(type));
  }
  return {};
}

Status Context::merge_http() {
  const Within back(*this, scope_, sets_);
  for (const Module* module : modules()) {
    TRY(finish_level(*module, Level::main));
    TRY(finish_level(*module, Level::upstream));
    TRY(merge_level(*module, Level::server));
    TRY(merge_level(*module, Level::location));
  }
  return {};
}

Status Context::before_http() {
  for (const Module* module : modules()) {
    if (module->before_http != nullptr) TRY(module->before_http(*this));
  }
  return {};
}

Status Context::after_http() {
  for (const Module* module : modules()) {
    if (module->after_http != nullptr) TRY(module->after_http(*this));
  }
  return {};
}

// --- paths -----------------------------------------------------------------------------------------------

std::string_view Context::full_path(std::string_view path) {
  if (path.starts_with('/')) return path;
  return arena().concat(std::string_view(configuration_.options_.prefix), path);
}

std::string_view Context::full_conf_path(std::string_view path) {
  if (path.starts_with('/')) return path;
  return arena().concat(configuration_.conf_prefix(), path);
}

OpenFile* Context::open_file(std::string_view path) {
  return configuration_.root().get<ProcessWide>().files.get(path.empty() ? path : full_path(path));
}

std::string_view Context::file_name(Position position) const {
  return position.known() ? std::string_view(configuration_.sources_[position.file].name)
                          : std::string_view();
}

}  // namespace mp::conf
