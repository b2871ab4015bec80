// Answers that the server itself makes up: error pages, redirects, and the statuses without a body.
#include "base/escape.hpp"
#include "base/identity.hpp"
#include "http/core_conf.hpp"
#include "http/engine.hpp"
#include "http/status.hpp"

namespace mp::http {
namespace {

bool closes_connection(int status) {
  switch (status) {
    case 400:
    case 413:
    case 414:
    case 494:
    case 495:
    case 496:
    case 497:
    case 500:
    case 501:
      return true;
    default:
      return false;
  }
}

// Takes the parts of "/page?args" apart, and goes there.
Step go_to_page(Request& r, std::string_view target) {
  const std::size_t question = target.find('?');
  if (r.method != Method::head) {
    r.method = Method::get;
    r.method_text = "GET";
  }
  const std::string_view args =
      question == std::string_view::npos ? std::string_view() : target.substr(question + 1);
  return r.internal_redirect(target.substr(0, question), args);
}

// What was to be sent gives way to the page. Its status and its fields stay, unless the page sets its own:
// those of a redirect and of a challenge, and what scripts have set.
void drop_body(Response& out) {
  out.status_line = out.content_type = out.charset = out.override_charset = {};
  out.headers.remove(HeaderId::content_encoding);
  out.trailers.clear();
  out.content_length = out.last_modified = -1;
  out.allow_ranges = out.single_range = out.weak_etag = false;
  out.chunk_allowed = out.conditional = true;
}

Step send_error_page(Request& r, const ErrorPage& page) {
  if (page.overwrite >= 0) r.error_status = page.overwrite;
  const std::string_view target = r.arena.copy(page.uri.evaluate(r));
  drop_body(r.out);
  if (!target.empty() && target.front() == '/') return go_to_page(r, target);
  if (!target.empty() && target.front() == '@') return r.named_location(target);

  switch (r.error_status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
      break;
    default:
      r.error_status = 302;
  }
  r.out.status = r.error_status;
  r.out.headers.set(HeaderId::location, target);
  r.error_page_done = true;
  return special_response(r, r.error_status);
}

bool is_msie(std::string_view agent) {
  return agent.find("MSIE ") != std::string_view::npos && agent.find("Opera") == std::string_view::npos;
}

// A redirect for those who lose the fragment of their URL otherwise: a page that goes elsewhere by itself.
Step send_refresh(Request& r) {
  const auto* location = r.out.headers.find(HeaderId::location);
  const std::string_view target = escape_uri(r.arena, location->value, UriEscape::refresh);
  r.out.headers.remove(HeaderId::location);
  r.error_status = 0;
  return r.respond(200, "text/html",
                   r.arena.concat("<html><head><meta http-equiv=\"Refresh\" content=\"0; URL=", target,
                                  "\"></head><body></body></html>\r\n"));
}

// The stock page of nginx, under our name: peers' users and their scripts recognise it.
std::string_view stock_page(Request& r, int status) {
  const std::string_view title = status_page_title(status);
  if (title.empty()) return {};
  std::string_view text =
      r.arena.concat("<html>\r\n<head><title>", title, "</title></head>\r\n<body>\r\n<center><h1>",
                     status_page_heading(status), "</h1></center>\r\n", status_page_extra(status),
                     "<hr><center>", server_name_for_pages(r), "</center>\r\n</body>\r\n</html>\r\n");
  const auto& core = r.conf<CoreLocation>();
  const std::string_view agent = r.in.value(HeaderId::user_agent);
  const bool chrome = agent.find("Chrome/") != std::string_view::npos;
  if ((is_msie(agent) || chrome) && core.msie_padding && status >= 400) {
    constexpr std::string_view kLine =
        "<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n";
    text = r.arena.concat(text, kLine, kLine, kLine, kLine, kLine, kLine);
  }
  return text;
}

}  // namespace

Step special_response(Request& r, int status) {
  r.error_status = status;
  if (r.status_only_errors) {
    if (r.out.status == 0 || r.out.status == 200) r.out.status = status;
    r.error_status = 0;
    r.out.content_type = r.out.charset = {};
    r.out.content_length = 0;
    r.out.last_modified = -1;
    r.clear_accept_ranges();
    r.send_head();
    r.finish_body();
    return Step::done();
  }
  if (closes_connection(status)) {
    r.keepalive = false;
    r.main->keepalive = false;
  }
  const auto& core = r.conf<CoreLocation>();
  if (!r.error_page_done && r.uri_changes > 0) {
    for (const ErrorPage& page : core.error_pages) {
      if (page.status != status) continue;
      if (!core.recursive_error_pages) r.error_page_done = true;
      return send_error_page(r, page);
    }
  }
  if (r.body.state == RequestBody::State::unread && !r.is_sub() && !discard_body(r)) r.keepalive = false;

  const int sent = status >= 494 && status <= 497 ? 400 : status;
  const bool moves = status == 301 || status == 302;
  if (moves && core.msie_refresh && r.out.headers.find(HeaderId::location) != nullptr &&
      is_msie(r.in.value(HeaderId::user_agent))) {
    return send_refresh(r);
  }
  r.error_status = sent;
  r.out.status = sent;
  r.out.status_line = {};
  r.out.last_modified = -1;
  r.clear_accept_ranges();
  r.clear_etag();
  r.out.headers.remove(HeaderId::content_encoding);

  const std::string_view page = stock_page(r, status);
  r.out.charset = {};
  if (page.empty()) {
    if (status != 204 && status != 304) r.out.content_length = 0;
    r.out.content_type = {};
    r.send_head();
    r.finish_body();
    return Step::done();
  }
  r.out.content_type = "text/html";
  r.out.content_length = static_cast<std::int64_t>(page.size());
  r.send_head();
  r.write(page, true);
  return Step::done();
}

}  // namespace mp::http
