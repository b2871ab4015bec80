// Variables: $name in configurations and ngx.var in Lua.
//
// Names are resolved to indexes when the configuration is read; at run time a value is one indexed load,
// computed on first use and kept in the request unless the variable is not cacheable. Prefix variables
// ($http_*, $arg_*) are defined by their prefix and get the rest of the name.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"

namespace mp::http {

class Request;

// What a variable is worth in one request. Views live as long as the request.
struct Value {
  std::string_view text;
  bool found = false;
  bool cacheable = true;  // a getter clears it when the value may change within the request
  bool known = false;     // computed already; kept by the request

  static Value of(std::string_view text) { return {text, true, true}; }
  static Value volatile_(std::string_view text) { return {text, true, false}; }
  static Value none() { return {}; }
};

struct Variable {
  using Get = Value (*)(Request&, const Variable&);
  using Set = void (*)(Request&, const Variable&, std::string_view value);

  std::string_view name;    // lower case, or the prefix with its '_' for prefix variables
  Get get = nullptr;        // null: declared by `set` alone; empty until set, with a warning
  Set set = nullptr;        // what assignment means; null: the value is simply kept
  bool changeable = false;  // `set`, `map` and others may define or assign it
  bool cacheable = true;
  bool prefix = false;
  const void* data = nullptr;  // for get/set: the map, the geo, ... or the rest of a prefix name
  std::uint32_t index = 0;     // of its value in the request
};

class VariableTable {
 public:
  // Defines a built-in or a module's variable. Names of built-ins are constants.
  void define(Variable variable);
  void define(std::span<const Variable> variables);

  // Defines (or finds, when changeable) the variable that a configuration directive introduces.
  // Error text: `the duplicate "x" variable`.
  Result<Variable*> add(std::string_view name);

  // The variable that `$name` means; creates the entry of a prefix variable on first mention, and an entry
  // without a getter for names that something later in the configuration may define.
  Variable* resolve(std::string_view name);

  // For run-time lookups by name (ngx.var, SSI): null when nothing of this name was defined. A prefix
  // variable gets an entry of its own for this request only: see Request::variable().
  const Variable* find(std::string_view name) const;
  const Variable* find_prefix(std::string_view name) const;

  // After the configuration was read: every name mentioned must be defined. Error: `unknown "x" variable`.
  Status finish();
  std::uint32_t count() const { return static_cast<std::uint32_t>(by_index_.size()); }
  const Variable& at(std::uint32_t index) const { return *by_index_[index]; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view s) const { return std::hash<std::string_view>()(s); }
  };
  std::unordered_map<std::string, std::unique_ptr<Variable>, Hash, std::equal_to<>> by_name_;
  std::vector<Variable*> by_index_;
  std::vector<Variable> prefixes_;
  std::vector<std::unique_ptr<std::string>> names_;
};

}  // namespace mp::http
