#include "conf/configuration.hpp"

#include <utility>

#include "conf/parser.hpp"

namespace mp::conf {

Configuration::Configuration(const Registry& registry, Options options)
    : registry_(registry),
      options_(std::move(options)),
      conf_prefix_(options_.file.substr(0, options_.file.rfind('/') + 1)) {}

Status Configuration::load() {
  Context ctx(*this);
  TRY(begin(ctx));
  const Result<std::uint32_t> file = sources_.open(options_.file);
  if (!file) return ctx.error(file.error().text);
  TRY(obey(ctx, *file));
  return finish(ctx);
}

Status Configuration::load_text(std::string text) {
  Context ctx(*this);
  TRY(begin(ctx));
  TRY(obey(ctx, sources_.add(options_.file, std::move(text), true)));
  return finish(ctx);
}

// The process sets exist from the start; the -g directives come before the file's.
Status Configuration::begin(Context& ctx) {
  root_[Level::process] = ctx.make_set(Level::process, nullptr, nullptr, {});
  ctx.sets_ = root_;
  if (options_.directives.empty()) return {};
  return obey(ctx, sources_.add("command line", options_.directives, false));
}

Status Configuration::obey(Context& ctx, std::uint32_t file) {
  Parser parser(arena_, sources_, conf_prefix_);
  tree_ = parser.parse(file);
  syntax_error_ = parser.error();
  TRY(ctx.obey(tree_));
  // A handler that did not look into its block has not met the error in there.
  if (syntax_error_) return ctx.report(*syntax_error_);
  return {};
}

bool Configuration::untouched(const Module& module, const ConfSet& set) const {
  for (const ConfType& type : module.confs) {
    if (type.level != Level::server && type.level != Level::location) continue;
    ConfSet* const here = set.around[type.level];
    if (here != nullptr && !untouched_.contains(here->slots()[*type.index])) return false;
  }
  return true;
}

Status Configuration::finish(Context& ctx) {
  for (const Module* module : registry_.modules()) {
    TRY(ctx.finish_level(*module, Level::process));
    TRY(ctx.finish_level(*module, Level::events));
  }
  return {};
}

}  // namespace mp::conf
