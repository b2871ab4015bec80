// Fields of an HTTP/2 request, as HPACK could give them: lines of the input, name and value divided by a tab.
// What is accepted must be safe to write down as an HTTP/1.1 request, which is what a proxy does with it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "proto/h2/request_head.hpp"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

bool one_line(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest{reinterpret_cast<const char*>(data), size};
  if (rest.empty()) return 0;
  const auto switches = static_cast<unsigned char>(rest.front());
  rest.remove_prefix(1);
  mp::Arena arena;
  mp::proto::H2HeadOptions options;
  options.max_fields = 20;
  options.ignore_odd_names = (switches & 1) == 0;
  options.underscores = (switches & 2) != 0;
  mp::proto::H2RequestHead head(arena, options);
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    const std::size_t tab = line.find('\t');
    head.add(line.substr(0, tab), tab == std::string_view::npos ? std::string_view() : line.substr(tab + 1));
  }
  head.finish((switches & 4) != 0);
  if (head.error().status != 0) {
    require(!head.error().text.empty());
    return 0;
  }
  require(head.host.has_value() && !head.host->name.empty());
  require(!head.method_name.empty() && !head.path.empty() && head.path.front() == '/');
  require(one_line(head.request_line) && head.path.find(' ') == std::string_view::npos);
  std::size_t hosts = 0;
  for (const auto& field : head.fields.all()) {
    require(!field.name.empty() && one_line(field.name) && one_line(field.value));
    require(field.name.find(':') == std::string_view::npos && field.name.find(' ') == std::string_view::npos);
    require(field.id != mp::http::HeaderId::transfer_encoding && field.id != mp::http::HeaderId::connection);
    if (field.id == mp::http::HeaderId::host) ++hosts;
  }
  require(hosts == 1);
  return 0;
}
