#include "http/status.hpp"

#include "base/identity.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"

namespace mp::http {
namespace {

struct Row {
  int status;
  std::string_view line;   // the status line
  std::string_view title;  // of the stock page when it differs from the line
  std::string_view extra;
  bool page = true;
};

constexpr Row kRows[] = {
    {200, "200 OK", {}, {}, false},
    {201, "201 Created", {}, {}, false},
    {202, "202 Accepted", {}, {}, false},
    {204, "204 No Content", {}, {}, false},
    {206, "206 Partial Content", {}, {}, false},
    {301, "301 Moved Permanently", {}, {}},
    {302, "302 Moved Temporarily", "302 Found", {}},
    {303, "303 See Other", {}, {}},
    {304, "304 Not Modified", {}, {}, false},
    {307, "307 Temporary Redirect", {}, {}},
    {308, "308 Permanent Redirect", {}, {}},
    {400, "400 Bad Request", {}, {}},
    {401, "401 Unauthorized", "401 Authorization Required", {}},
    {402, "402 Payment Required", {}, {}},
    {403, "403 Forbidden", {}, {}},
    {404, "404 Not Found", {}, {}},
    {405, "405 Not Allowed", {}, {}},
    {406, "406 Not Acceptable", {}, {}},
    {408, "408 Request Time-out", {}, {}},
    {409, "409 Conflict", {}, {}},
    {410, "410 Gone", {}, {}},
    {411, "411 Length Required", {}, {}},
    {412, "412 Precondition Failed", {}, {}},
    {413, "413 Request Entity Too Large", {}, {}},
    {414, "414 Request-URI Too Large", {}, {}},
    {415, "415 Unsupported Media Type", {}, {}},
    {416, "416 Requested Range Not Satisfiable", {}, {}},
    {421, "421 Misdirected Request", {}, {}},
    {429, "429 Too Many Requests", {}, {}},
    {431, "431 Request Header Fields Too Large", {}, {}},
    {494, "", "400 Request Header Or Cookie Too Large",
     "<center>Request Header Or Cookie Too Large</center>\r\n"},
    {495, "", "400 The SSL certificate error", "<center>The SSL certificate error</center>\r\n"},
    {496, "", "400 No required SSL certificate was sent",
     "<center>No required SSL certificate was sent</center>\r\n"},
    {497, "", "400 The plain HTTP request was sent to HTTPS port",
     "<center>The plain HTTP request was sent to HTTPS port</center>\r\n"},
    {500, "500 Internal Server Error", {}, {}},
    {501, "501 Not Implemented", {}, {}},
    {502, "502 Bad Gateway", {}, {}},
    {503, "503 Service Temporarily Unavailable", {}, {}},
    {504, "504 Gateway Time-out", {}, {}},
    {505, "505 HTTP Version Not Supported", {}, {}},
    {507, "507 Insufficient Storage", {}, {}},
    {508, "508 Loop Detected", {}, {}},
};

const Row* find(int status) {
  for (const Row& row : kRows) {
    if (row.status == status) return &row;
  }
  return nullptr;
}

std::string_view name_for(const Request& r) {
  switch (r.conf<CoreLocation>().server_tokens.get()) {
    case ServerTokens::off:
      return identity().name;
    default:
      return identity().product;
  }
}

}  // namespace

std::string_view status_line(int status) {
  const Row* row = find(status);
  return row != nullptr ? row->line : std::string_view();
}

std::string_view status_page_title(int status) {
  const Row* row = find(status);
  if (row == nullptr || !row->page) return {};
  return row->title.empty() ? row->line : row->title;
}

std::string_view status_page_heading(int status) {
  const Row* row = find(status);
  if (row == nullptr || !row->page) return {};
  if (!row->extra.empty()) return "400 Bad Request";
  return row->title.empty() ? row->line : row->title;
}

std::string_view status_page_extra(int status) {
  const Row* row = find(status);
  return row != nullptr ? row->extra : std::string_view();
}

std::string_view server_name_for_pages(const Request& r) {
  return name_for(r);
}
std::string_view server_field(const Request& r) {
  return name_for(r);
}

}  // namespace mp::http
