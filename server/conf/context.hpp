// Context: what a directive handler, a merge or a finish function works with. One per load of a
// configuration, on the loader's stack; it knows where in the file the loader is.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "base/arena.hpp"
#include "base/result.hpp"
#include "conf/module.hpp"
#include "conf/node.hpp"

namespace mp {
class OpenFile;
}

namespace mp::conf {

class Configuration;
struct Diagnostic;

// The code of an Error that Context::error() made: it is recorded and names its place already.
inline constexpr int kReported = -1;

class Context {
 public:
  explicit Context(Configuration& configuration) : configuration_(configuration) {}
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  Configuration& configuration() { return configuration_; }
  Arena& arena();  // lives as long as the configuration
  std::span<const Module* const> modules() const;

  Scope scope() const { return scope_; }
  const Sets& sets() const { return sets_; }

  // The T that holds here: of the block being read, or of the nearest one around that has its level.
  // Asking for it gives the block one of its own while blocks are read.
  template <class T>
  T& conf() {
    return own<T>(sets_);
  }
  // The T of the block that `sets` belong to, made now when it has none yet. From then on it shares none.
  template <class T>
  T& own(const Sets& sets) {
    void*& slot = sets[T::kLevel]->slots()[conf_index<T>];
    if (slot == nullptr) slot = arena().make<T>();
    return *static_cast<T*>(slot);
  }
  bool has(Level level) const { return sets_[level] != nullptr; }

  // A mistake: records it with its place and returns the failure to hand on. Without a place argument it
  // is the directive being obeyed.
  tl::unexpected<Error> error(std::string text);
  tl::unexpected<Error> error(const Node& node, std::string text);
  tl::unexpected<Error> error(const Arg& arg, std::string text);
  tl::unexpected<Error> error(Position position, std::string text);
  void warn(const Node& node, std::string text);
  void warn(const Arg& arg, std::string text);

  // Sets for a block inside the current one, with fresh sets of the given levels that inherit from the
  // current ones: {main, server, location} for http {}, {server, location} for server {}, {location} for
  // location {}, if {} and limit_except {}, {upstream}, {events}. Outermost ones become the configuration's
  // root sets.
  Sets nested_sets(const Node& node, std::initializer_list<Level> fresh);

  // Makes `scope` and `sets` the current ones for its own lifetime.
  class Within {
   public:
    Within(Context& ctx, Scope scope, const Sets& sets);
    Within(const Within&) = delete;
    Within& operator=(const Within&) = delete;
    ~Within();

   private:
    Context& ctx_;
    Scope scope_;
    Sets sets_;
    const Node* node_;
  };

  // Obeys the directives inside `node`, in the current scope and sets or in others.
  Status children(const Node& node);
  Status children(const Node& node, Scope scope, const Sets& sets);

  // The pieces of http {}, in the order its handler calls them, all Within its sets: before_http() of every
  // module, children(), merge_http(), what the http core builds from the merged tree, after_http().
  Status before_http();
  // For every module in order: finish() of main and upstream types, then merge() and finish() of its server
  // and its location types, outer blocks first. The outermost (http {}) sets are not merged nor finished.
  Status merge_http();
  Status after_http();

  // Absolute forms of a path: relative to the prefix, or to the folder of the main configuration file.
  std::string_view full_path(std::string_view path);
  std::string_view full_conf_path(std::string_view path);

  // The log file at `path` (relative to the prefix; empty: stderr), opened when the configuration is taken.
  OpenFile* open_file(std::string_view path);

  std::string_view file_name(Position position) const;  // "command line" for -g

 private:
  friend class Configuration;

  ConfSet* make_set(Level level, const Node* node, ConfSet* parent, const Sets& around);
  Status obey(NodeList nodes);
  Status dispatch(const Node& node);
  Status check_shape(const Node& node, const Directive& directive);
  tl::unexpected<Error> not_usable(const Node& node);
  tl::unexpected<Error> complete(const Node* node, Error error);
  tl::unexpected<Error> report(Diagnostic diagnostic);
  Status finish_set(ConfSet& set, const ConfType& type);
  Status merge_level(const Module& module, Level level);  // with finish() after each merge()
  Status merge_type(const ConfType& type);
  Status merge_set(ConfSet& set, const ConfType& type, void*& untouched);
  Status finish_level(const Module& module, Level level);

  Configuration& configuration_;
  Scope scope_ = Scope::main;
  Sets sets_;
  const Node* node_ = nullptr;
};

}  // namespace mp::conf
