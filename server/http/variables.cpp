#include "http/variables.hpp"

#include "base/strings.hpp"

namespace mp::http {

void VariableTable::define(Variable variable) {
  if (variable.prefix) {
    prefixes_.push_back(variable);
    return;
  }
  auto& entry = by_name_[std::string(variable.name)];
  if (entry == nullptr) {
    entry = std::make_unique<Variable>();
    entry->index = static_cast<std::uint32_t>(by_index_.size());
    by_index_.push_back(entry.get());
  }
  variable.index = entry->index;
  *entry = variable;
}

void VariableTable::define(std::span<const Variable> variables) {
  for (const Variable& v : variables) define(v);
}

Variable* VariableTable::resolve(std::string_view name) {
  std::string lower(name);
  for (char& c : lower) c = to_lower(c);
  if (auto found = by_name_.find(lower); found != by_name_.end()) return found->second.get();
  names_.push_back(std::make_unique<std::string>(lower));
  Variable variable;
  if (const Variable* prefix = find_prefix(lower)) variable = *prefix;
  variable.prefix = false;
  variable.name = *names_.back();
  define(variable);
  return by_name_.find(lower)->second.get();
}

Result<Variable*> VariableTable::add(std::string_view name) {
  Variable* v = resolve(name);
  const Variable* prefix = find_prefix(v->name);
  if (prefix != nullptr && v->get == prefix->get)
    v->changeable = v->cacheable = true;  // one of many: set $http_x
  const bool built_in = v->get != nullptr && !v->changeable;
  if (built_in) return fail("the duplicate \"" + std::string(name) + "\" variable");
  v->changeable = true;
  return v;
}

const Variable* VariableTable::find(std::string_view name) const {
  if (auto found = by_name_.find(name); found != by_name_.end()) return found->second.get();
  for (char c : name) {
    if (c < 'A' || c > 'Z') continue;
    std::string lower(name);
    for (char& l : lower) l = to_lower(l);
    auto found = by_name_.find(lower);
    return found != by_name_.end() ? found->second.get() : nullptr;
  }
  return nullptr;
}

const Variable* VariableTable::find_prefix(std::string_view name) const {
  for (const Variable& v : prefixes_) {
    if (name.size() > v.name.size() && starts_with_nocase(name, v.name)) return &v;
  }
  return nullptr;
}

Status VariableTable::finish() {
  for (const Variable* v : by_index_) {
    if (v->get == nullptr && !v->changeable) return fail("unknown \"" + std::string(v->name) + "\" variable");
  }
  return {};
}

}  // namespace mp::http
