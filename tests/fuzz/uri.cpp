// Request URIs, hosts and targets from any bytes. What was accepted is canonical: its path has no dot
// segments and no doubled slashes, and means the same after it was escaped and read again.
#include "http/uri.hpp"

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/escape.hpp"
#include "http/uri_authority.hpp"

using namespace mp;
using namespace mp::http;

namespace {

bool has_dot_segment(std::string_view path) {
  while (!path.empty()) {
    const std::string_view segment = path.substr(0, path.find('/'));
    if (segment == "." || segment == "..") return true;
    path.remove_prefix(segment.size() == path.size() ? segment.size() : segment.size() + 1);
  }
  return false;
}

bool inside(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void check_uri(Arena& arena, std::string_view raw, bool merge_slashes) {
  const auto uri = parse_request_uri(arena, raw, merge_slashes);
  if (!uri) return;
  assert(uri->path.starts_with('/'));
  assert(uri->path.size() <= raw.size() + 1);
  assert(!has_dot_segment(uri->path));
  assert(uri->path.find('\0') == std::string_view::npos);
  assert(!merge_slashes || uri->path.find("//") == std::string_view::npos);
  assert(inside(uri->args, raw) && inside(uri->extension, uri->path));
  const auto again = parse_request_uri(arena, escape_uri(arena, uri->path, UriEscape::uri), merge_slashes);
  assert(again && again->path == uri->path && again->args.empty());
}

void check_host(Arena& arena, std::string_view text) {
  const auto host = parse_host(arena, text);
  if (!host) return;
  assert(!host->name.empty() && host->name.size() <= text.size());
  // A second dot at the end would have been refused.
  const auto again = parse_host(arena, host->name);
  assert(again && again->name == host->name && again->port == 0);
}

void check_internal(Arena& arena, std::string_view text) {
  const auto uri = parse_internal_uri(arena, text);
  if (!uri) return;
  assert(!uri->path.empty());
  assert(uri->path != ".." && !uri->path.starts_with("../") && !uri->path.ends_with("/.."));
  assert(uri->path.find("/../") == std::string_view::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Arena arena;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_uri(arena, text, true);
  check_uri(arena, text, false);
  check_host(arena, text);
  check_internal(arena, text);
  for (const bool connect : {false, true}) {
    const auto target = parse_request_target(text, connect);
    if (!target) continue;
    assert(inside(target->scheme, text) && inside(target->authority, text));
    check_host(arena, target->authority);
    check_uri(arena, target->uri, true);
  }
  return 0;
}
