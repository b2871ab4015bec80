// Configuration: one loaded configuration with everything it owns. Made and loaded by the master (and by
// -t), then read by the workers; a reload makes a new one beside it. Never changes after load().
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/arena.hpp"
#include "base/result.hpp"
#include "conf/context.hpp"
#include "conf/diagnostic.hpp"
#include "conf/module.hpp"
#include "conf/node.hpp"
#include "conf/registry.hpp"
#include "conf/source.hpp"

namespace mp::conf {

class Configuration {
 public:
  struct Options {
    std::string prefix;      // ends in '/'; what paths are relative to
    std::string file;        // the main file, absolute; its folder is what includes are relative to
    std::string directives;  // -g: obeyed before the file
    const Configuration* previous = nullptr;  // that a reload replaces; only good during load()
  };

  Configuration(const Registry& registry, Options options);
  Configuration(const Configuration&) = delete;
  Configuration& operator=(const Configuration&) = delete;

  // Reads, obeys and completes everything. The error's text is the headline of the last diagnostic.
  Status load();
  // As load(), with `text` in place of the contents of the main file.
  Status load_text(std::string text);

  const Registry& registry() const { return registry_; }
  const Options& options() const { return options_; }
  std::string_view conf_prefix() const { return conf_prefix_; }
  Arena& arena() { return arena_; }
  const Sources& sources() const { return sources_; }
  NodeList tree() const { return tree_; }

  // The outermost sets: process always; events, main, server and location once their blocks were read.
  Sets& root() { return root_; }
  const Sets& root() const { return root_; }
  // Every set of a level, outer ones before inner ones.
  const std::vector<ConfSet*>& sets(Level level) const { return sets_[std::size_t(level)]; }
  // After merging: whether no directive of `module` was given in the block of `set`, nor in those around it.
  bool untouched(const Module& module, const ConfSet& set) const;

  // Warnings in their order, then the error if there is one.
  const std::vector<Diagnostic>& diagnostics() const { return diagnostics_; }

 private:
  friend class Context;

  Status begin(Context& ctx);
  Status obey(Context& ctx, std::uint32_t file);
  Status finish(Context& ctx);

  const Registry& registry_;
  Options options_;
  std::string conf_prefix_;
  Arena arena_;
  Sources sources_;
  NodeList tree_;
  std::optional<Diagnostic> syntax_error_;  // of the text being obeyed; its error node stands for it
  Sets root_;
  std::array<std::vector<ConfSet*>, kLevels> sets_;
  std::unordered_set<const void*> untouched_;  // objects that nobody wrote to
  std::vector<Diagnostic> diagnostics_;
};

}  // namespace mp::conf
