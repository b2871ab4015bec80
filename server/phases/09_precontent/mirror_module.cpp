// mirror: copies of a request go to other locations; their responses are dropped.
#include <string_view>
#include <vector>

#include "conf/setters.hpp"
#include "fiber/fiber.hpp"
#include "http/core_conf.hpp"
#include "http/exchange.hpp"
#include "http/request.hpp"
#include "http/subrequest.hpp"
#include "phases/09_precontent/precontent_modules.hpp"

namespace mp::phases {

using conf::Context;
using conf::Node;
using http::Request;
using http::Step;

namespace {

struct MirrorConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  std::vector<std::string_view> uris;
  bool off = false;
  conf::Setting<bool> request_body;

  Status merge(Context&, const MirrorConf& parent) {
    if (uris.empty() && !off) uris = parent.uris;
    request_body.inherit(parent.request_body, true);
    return {};
  }
};

Status parse_mirror(Context& ctx, const Node& node) {
  auto& c = ctx.conf<MirrorConf>();
  const std::string_view uri = node.args[0].text;
  if (c.off || (uri == "off" && !c.uris.empty())) return conf::duplicate();
  if (uri == "off") {
    c.off = true;
  } else {
    c.uris.push_back(uri);
  }
  return {};
}

// The copies under way. They read the request's fields and body, so it waits for them after its response.
struct Mirrors {
  static constexpr bool kKeepOnRedirect = true;
  fiber::Group group;
};

void run_copy(Request& r, std::string_view uri, std::string_view args, bool forward_body) {
  http::SubrequestOptions options;
  options.method = r.method;
  options.args = args;
  options.forward_body = forward_body;
  options.copy_variables = true;
  options.prepare = [&r](Request& copy) { copy.method_text = r.method_text; };
  http::probe(r, uri, options, nullptr);
}

constexpr conf::Directive kDirectives[] = {
    {.name = "mirror", .where = conf::kHttpServerLocation, .args = conf::exactly(1), .parse = parse_mirror},
    {.name = "mirror_request_body",
     .where = conf::kHttpServerLocation,
     .args = conf::flag(),
     .parse = conf::set<&MirrorConf::request_body>},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<MirrorConf>()};

}  // namespace

Step mirror_request(Request& r) {
  if (r.is_sub()) return Step::decline();
  const auto& c = r.conf<MirrorConf>();
  if (c.uris.empty()) return Step::decline();
  const bool forward_body = c.request_body;
  if (forward_body) {
    if (const int status = http::read_body(r); status != 0) return Step::finish(status);
  }
  auto& mirrors = r.ctx<Mirrors>();
  for (const std::string_view uri : c.uris) {
    mirrors.group.spawn([&r, uri, args = r.args, forward_body] { run_copy(r, uri, args, forward_body); });
  }
  return Step::decline();
}

namespace {

[[gnu::noinline]] void wait_for(Mirrors& mirrors, Request& r) {
  if (r.exchange != nullptr && !r.aborted) r.exchange->flush(r);  // the client must not wait for them
  mirrors.group.wait();
}

}  // namespace

void wait_for_mirrors(Request& r) {
  if (auto* mirrors = r.find_ctx<Mirrors>()) [[unlikely]]
    wait_for(*mirrors, r);
}

const conf::Module kMirrorModule = {.name = "http_mirror", .directives = kDirectives, .confs = kConfs};

}  // namespace mp::phases
