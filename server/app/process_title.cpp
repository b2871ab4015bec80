#include "app/process_title.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include <unistd.h>

#include "base/identity.hpp"

// The arguments, where scripts look for them through FFI as they do in nginx.
extern "C" {
char** ngx_argv = nullptr;
}

namespace mp::app {
namespace {

// Where the kernel looks: one area per process, by nature.
struct Area {
  char* begin = nullptr;
  char* end = nullptr;
  std::vector<std::string> arguments;
  std::vector<char*> pointers;
  char** environment = nullptr;  // our copy, which lives as long as the process
};
Area& area() {
  static Area instance;
  return instance;
}

}  // namespace

void save_arguments(int argc, char** argv) {
  Area& a = area();
  a.arguments.assign(argv, argv + argc);
  for (std::string& argument : a.arguments) a.pointers.push_back(argument.data());
  a.pointers.push_back(nullptr);
  ngx_argv = a.pointers.data();
  if (argc == 0) return;
  a.begin = argv[0];
  a.end = argv[0] + std::strlen(argv[0]) + 1;
  for (int i = 1; i < argc && argv[i] == a.end; ++i) a.end += std::strlen(argv[i]) + 1;
  char** copies = static_cast<char**>(std::calloc(1, sizeof(char*)));
  std::size_t count = 0;
  for (char** e = environ; *e != nullptr; ++e, ++count) {
    if (*e == a.end) a.end += std::strlen(*e) + 1;
    copies = static_cast<char**>(std::realloc(copies, (count + 2) * sizeof(char*)));
    copies[count] = strdup(*e);
    copies[count + 1] = nullptr;
  }
  a.environment = environ = copies;
}

const std::vector<std::string>& saved_arguments() {
  return area().arguments;
}

void set_process_title(std::string_view title) {
  const Area& a = area();
  if (a.begin == nullptr) return;
  std::string text(identity().name);
  text.append(": ").append(title);
  const std::size_t room = static_cast<std::size_t>(a.end - a.begin) - 1;
  const std::size_t length = std::min(room, text.size());
  std::memcpy(a.begin, text.data(), length);
  std::memset(a.begin + length, 0, room + 1 - length);
}

}  // namespace mp::app
