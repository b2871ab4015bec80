#include "http/edge_module.hpp"

#include "conf/setters.hpp"
#include "fiber/fiber.hpp"
#include "http/body.hpp"
#include "http/core_conf.hpp"
#include "http/engine.hpp"
#include "http/predicates.hpp"
#include "http/request.hpp"

namespace mp::http {
namespace {

struct EarlyBodyConf {
  static constexpr Level kLevel = Level::server;
  Setting<Predicates> wanted;
  Status merge(conf::Context&, const EarlyBodyConf& parent) {
    wanted.inherit(parent.wanted);
    return {};
  }
};

struct PostActionConf {
  static constexpr Level kLevel = Level::location;
  Setting<std::string_view> target;  // a URI, "@name", or nothing
  Status merge(conf::Context&, const PostActionConf& parent) {
    target.inherit(parent.target, "");
    return {};
  }
};

// Most configurations have none: then no request looks for its own.
struct PostActions {
  static constexpr Level kLevel = Level::main;
  bool any = false;
};

Status parse_early_read(conf::Context& ctx, const conf::Node& node) {
  return parse_predicates(ctx, node, ctx.conf<EarlyBodyConf>().wanted);
}

Status parse_post_action(conf::Context& ctx, const conf::Node& node) {
  ctx.conf<PostActions>().any = true;
  auto& target = ctx.conf<PostActionConf>().target;
  if (target.is_set()) return conf::duplicate();
  const std::string_view text = node.args[0].text;
  target.set(text == "off" ? std::string_view() : text);
  return {};
}

constexpr conf::Directive kDirectives[] = {
    {.name = "client_body_early_read",
     .where = conf::kHttpServer,
     .args = conf::at_least(1),
     .parse = parse_early_read},
    {.name = "post_action",
     .where = conf::kHttpServerLocationIf,
     .args = conf::exactly(1),
     .parse = parse_post_action},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<EarlyBodyConf>(), conf::conf_type<PostActionConf>(),
                                     conf::conf_type<PostActions>()};

class Nowhere final : public Sink {
 public:
  bool send_head(Request&, bool) override { return true; }
  bool send_body(Request&, const Output&) override { return true; }
};

[[gnu::noinline]] void run_action(Request& r, std::string_view target) {
  // The response is the client's: neither its state nor the connection's changes any more.
  Nowhere nowhere;
  Sink* const client = r.sink;
  const int status = r.out.status;
  const bool aborted = r.aborted;
  r.sink = &nowhere;
  r.head_sent = r.finished = r.header_only = true;
  fiber::clear_cancel(*fiber::current());
  try {
    const Step step =
        target.starts_with('@') ? r.named_location(target) : r.internal_redirect(r.arena.copy(target), {});
    if (step.kind() == Step::Kind::restart) run(r, step.phase());
  } catch (const fiber::Cancelled&) {
    // The worker ends.
  }
  r.sink = client;
  r.out.status = status;
  r.aborted = aborted;
}

}  // namespace

Step read_early_body(Request& r) {
  const EarlyBodyConf& c = r.conf<EarlyBodyConf>();
  if (!c.wanted.is_set() || !c.wanted->any(r)) return Step::decline();
  const std::int64_t limit = r.conf<CoreLocation>().client_max_body_size;
  if (limit != 0 && r.content_length_in > limit) {
    log::error(r.logger, "client intended to send too large body: {} bytes", r.content_length_in);
    r.keepalive = false;
    return Step::finish(413);
  }
  const int status = read_body(r);
  return status != 0 ? Step::finish(status) : Step::decline();
}

namespace {

[[gnu::noinline]] void run_own_post_action(Request& r) {
  const std::string_view target = r.conf<PostActionConf>().target.get();
  if (!target.empty() && !r.uri.empty()) run_action(r, target);
}

}  // namespace

void run_post_action(Request& r) {
  if (r.conf<PostActions>().any) [[unlikely]]
    run_own_post_action(r);
}

const conf::Module kEdgeModule = {.name = "http_edge", .directives = kDirectives, .confs = kConfs};

}  // namespace mp::http
