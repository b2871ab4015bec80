#include "app/environment.hpp"

#include <ctime>

#include <unistd.h>

namespace mp::app {
namespace {

void keep(std::vector<std::string>& out, std::string_view name, char** original) {
  for (char** e = original; *e != nullptr; ++e) {
    const std::string_view variable = *e;
    if (variable.size() > name.size() && variable.starts_with(name) && variable[name.size()] == '=') {
      out.emplace_back(variable);
      return;
    }
  }
}

}  // namespace

std::vector<std::string> select_environment(const conf::StringList& env, char** original) {
  std::vector<std::string> out;
  bool has_zone = false;
  for (const std::string_view entry : env) {
    has_zone = has_zone || entry == "TZ" || entry.starts_with("TZ=");
    if (entry.find('=') != std::string_view::npos) {
      out.emplace_back(entry);
    } else {
      keep(out, entry, original);
    }
  }
  if (!has_zone) keep(out, "TZ", original);
  return out;
}

void install_environment(std::vector<std::string> variables) {
  // getenv() hands out pointers into them until the process ends, and libraries ask it in their destructors,
  // which run after ours: never destroyed.
  static auto& strings = *new std::vector<std::string>;
  static auto& pointers = *new std::vector<char*>;
  strings = std::move(variables);
  pointers.clear();
  for (std::string& s : strings) pointers.push_back(s.data());
  pointers.push_back(nullptr);
  environ = pointers.data();
  tzset();
}

}  // namespace mp::app
