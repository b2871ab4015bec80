#include "filters/not_modified.hpp"

#include "base/clock.hpp"
#include "base/strings.hpp"
#include "http/core_conf.hpp"
#include "http/engine.hpp"
#include "http/request.hpp"

namespace mp::filters {

using http::HeaderId;
using http::Request;

namespace {

// Whether a list of entity tags (or "*") names the response's. Weak comparison ignores "W/".
bool names_etag(std::string_view list, std::string_view etag, bool weak) {
  if (trim(list) == "*") return true;
  if (etag.empty()) return false;
  if (weak) consume(etag, "W/");
  for (std::size_t i = 0; i < list.size();) {
    while (i < list.size() && (list[i] == ' ' || list[i] == '\t' || list[i] == ',')) ++i;
    std::string_view rest = list.substr(i);
    if (rest.starts_with("W/")) {
      if (weak) rest.remove_prefix(2);
      i += 2;
    }
    if (rest.starts_with(etag)) {
      const std::string_view behind = trim(rest.substr(etag.size()));
      if (behind.empty() || behind.front() == ',') return true;
    }
    const std::size_t open = list.find('"', i);
    const std::size_t close = open == std::string_view::npos ? open : list.find('"', open + 1);
    if (close == std::string_view::npos) return false;
    i = close + 1;
  }
  return false;
}

bool unmodified_since(Request& r, std::string_view date) {
  if (r.out.last_modified < 0) return true;
  const auto when = parse_http_date(date);
  return when && r.out.last_modified <= *when;
}

bool modified_since(Request& r, std::string_view date) {
  const auto mode = r.conf<http::CoreLocation>().if_modified_since.get();
  if (r.out.last_modified < 0 || mode == http::IfModifiedSince::off) return true;
  const auto when = parse_http_date(date);
  if (when && r.out.last_modified == *when) return false;
  return mode == http::IfModifiedSince::exact || !when || *when < r.out.last_modified;
}

void become(Request& r, int status) {
  if (status == 304) {
    r.out.status = 304;
    r.out.status_line = {};
    r.out.content_type = r.out.charset = {};
    r.clear_content_length();
    r.clear_accept_ranges();
    r.out.headers.remove(HeaderId::content_encoding);
    r.header_only = true;
    return;
  }
  // Nothing of the response that was not sent belongs to this one.
  r.out.clear();
  r.replace_with_status = status;
}

// Of a request that has conditions.
[[gnu::noinline]] void check_conditions(Request& r) {
  const auto* match = r.in.find(HeaderId::if_match);
  const auto* unmodified = r.in.find(HeaderId::if_unmodified_since);
  const auto* none_match = r.in.find(HeaderId::if_none_match);
  const auto* modified = r.in.find(HeaderId::if_modified_since);
  const std::string_view etag = r.out.headers.value(HeaderId::etag);
  if (unmodified != nullptr && !unmodified_since(r, unmodified->value)) return become(r, 412);
  if (match != nullptr && !names_etag(match->value, etag, false)) return become(r, 412);
  if (modified != nullptr || none_match != nullptr) {
    if (modified != nullptr && modified_since(r, modified->value)) return;
    if (none_match != nullptr && !names_etag(none_match->value, etag, true)) return;
    become(r, 304);
  }
}

bool is_condition(HeaderId id) {
  return id == HeaderId::if_match || id == HeaderId::if_unmodified_since || id == HeaderId::if_none_match ||
         id == HeaderId::if_modified_since;
}

}  // namespace

void not_modified(Request& r) {
  if (r.out.status != 200 || r.is_sub() || r.no_conditions || !r.out.conditional) return;
  for (const http::HeaderField& field : r.in) {
    if (is_condition(field.id)) return check_conditions(r);
  }
}

}  // namespace mp::filters
