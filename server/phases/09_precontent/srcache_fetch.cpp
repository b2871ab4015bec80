// srcache_fetch: a response that a subrequest finds in a cache is the answer.
#include <algorithm>

#include "base/clock.hpp"
#include "filters/srcache.hpp"
#include "http/content_type.hpp"
#include "http/request.hpp"
#include "http/subrequest.hpp"
#include "phases/09_precontent/precontent_modules.hpp"
#include "proto/h1/response_parser.hpp"

namespace mp::phases {

using filters::SrcacheConf;
using filters::SrcacheState;
using http::HeaderField;
using http::HeaderId;
using http::Request;
using http::Step;

namespace {

// Takes the head of a kept response over. False: it is none.
bool take_head(Request& r, const proto::ResponseHead& head) {
  if (head.version == 9 || head.status < 200) return false;
  r.out.status = head.status;
  for (const HeaderField& field : head.fields.all()) {
    switch (field.id) {
      case HeaderId::content_type:
        r.out.content_type = field.value;
        http::part_content_type(r);
        break;
      case HeaderId::content_length:
      case HeaderId::connection:
      case HeaderId::transfer_encoding:
        break;
      case HeaderId::last_modified:
        if (const auto time = parse_http_date(field.value)) {
          r.out.last_modified = *time;
          break;
        }
        [[fallthrough]];
      default:
        r.out.headers.add(field);
        break;
    }
  }
  return true;
}

// Whether every line of a head, with its line end, has room in the buffer that was asked for.
bool lines_fit(std::string_view head, std::size_t most) {
  while (!head.empty()) {
    const std::size_t line = std::min(head.find('\n'), head.size() - 1) + 1;
    if (line > most) return false;
    head.remove_prefix(line);
  }
  return true;
}

// Answers with what the cache had. False: that is no response.
bool answer(Request& r, std::string_view kept) {
  auto* parser = r.arena.make<proto::ResponseHeadParser>(r.arena);
  if (parser->feed(kept) != proto::Parse::complete || !take_head(r, parser->head())) {
    log::error(r.logger, "srcache_fetch: cache sent invalid status line");
    r.out.clear();
    return false;
  }
  if (!lines_fit(kept.substr(0, parser->consumed()), r.conf<SrcacheConf>().header_buffer_size)) {
    log::error(r.logger,
               "srcache_fetch: header buffer overflown (maybe you should consider increasing "
               "srcache_header_buffer_size?)");
    r.out.clear();
    return false;
  }
  const std::string_view body = kept.substr(parser->consumed());
  if (!http::discard_body(r)) r.keepalive = false;
  r.ctx<SrcacheState>().fetched = true;
  r.out.content_length = static_cast<std::int64_t>(body.size());
  r.out.allow_ranges = true;
  r.send_head();
  r.write(body, true);
  return true;
}

}  // namespace

Step fetch_from_srcache(Request& r) {
  const auto& conf = r.conf<SrcacheConf>();
  if (conf.fetch == nullptr || r.is_sub() || !filters::srcache_wants_method(r, conf)) return Step::decline();
  if (filters::srcache_skips(r, conf.fetch_skip.get())) return Step::decline();
  if (conf.request_cache_control && filters::request_cache_control_has(r, "no-cache")) return Step::decline();
  if (r.find_ctx<SrcacheState>() != nullptr) return Step::decline();
  auto& state = r.ctx<SrcacheState>();
  http::SubrequestOptions options;
  options.method = conf.fetch->method;
  options.args = conf.fetch->args.evaluate(r);
  options.prepare = [](Request& child) { child.status_only_errors = true; };
  const http::Captured found = http::capture(r, conf.fetch->uri.evaluate(r), options);
  state.missed = true;
  if (found.status != 200 || found.truncated || found.body.empty()) return Step::decline();
  return answer(r, found.body) ? Step::done() : Step::decline();
}

}  // namespace mp::phases
