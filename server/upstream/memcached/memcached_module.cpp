// The memcached module: the value under $memcached_key is the response.
#include "base/escape.hpp"
#include "base/numbers.hpp"
#include "conf/setters.hpp"
#include "http/content_type.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"
#include "upstream/memcached/memcached.hpp"
#include "upstream/memcached/memcached_dialect.hpp"
#include "upstream/pass_target.hpp"

namespace mp::upstream {
namespace {

using conf::Context;
using conf::kHttpServerLocation;
using conf::Node;
using http::Request;
using http::Step;

constexpr std::string_view kKeyVariable = "memcached_key";

struct MemcachedConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  TransferConf transfer;
  PassTarget target;
  Setting<std::int64_t> gzip_flag;
  const http::Variable* key = nullptr;

  Status merge(Context& ctx, const MemcachedConf& parent) {
    transfer.buffering.set(false);
    transfer.intercept_404 = true;
    // There is no directive for the number and size of further buffers: they follow that of the first one.
    transfer.buffer_size.inherit(parent.transfer.buffer_size, conf::Size(4096));
    transfer.buffers.set({8, transfer.buffer_size.get().value});
    TRY(transfer.merge(ctx, parent.transfer, "memcached", {}, "proxy_temp"));
    gzip_flag.inherit(parent.gzip_flag, 0);
    merge_pass(ctx, target, parent.target);
    if (key == nullptr) key = parent.key;
    return {};
  }
};

class GetDialect final : public MemcachedDialect {
 public:
  GetDialect(const MemcachedCommand& command, std::int64_t gzip_flag)
      : MemcachedDialect(command), gzip_flag_(gzip_flag) {}

 protected:
  bool take_flags(Request&, std::string_view text, Reply& reply) override {
    if (gzip_flag_ == 0) return true;
    const auto flags = parse_natural<std::int64_t>(text);
    if (!flags) return false;
    if ((*flags & gzip_flag_) != 0) reply.fields.add(http::HeaderId::content_encoding, "gzip");
    return true;
  }

 private:
  std::int64_t gzip_flag_;
};

Step serve_memcached(Request& r) {
  const auto& conf = r.conf<MemcachedConf>();
  if (r.method != http::Method::get && r.method != http::Method::head) return Step::finish(405);
  if (!http::discard_body(r)) r.keepalive = false;
  http::set_content_type(r);
  r.out.allow_ranges = r.out.single_range = true;
  const std::string_view key = r.variable(*conf.key).text;
  if (key.empty()) {
    log::error(r.logger, "the \"$memcached_key\" variable is not set");
    return Step::finish(500);
  }
  MemcachedCommand command;
  command.key = escape_uri(r.arena, key, UriEscape::memcached);
  command.text = r.arena.concat("get ", command.key, "\r\n");
  Destination destination;
  if (!conf.target.find(r, destination)) return Step::finish(500);
  GetDialect dialect(command, conf.gzip_flag);
  Transfer transfer(r, conf.transfer, dialect, destination, &conf);
  return transfer.run();
}

Status parse_memcached_pass(Context& ctx, const Node& node) {
  auto& conf = ctx.conf<MemcachedConf>();
  conf.key = ctx.conf<http::CoreMain>().variables.resolve(kKeyVariable);
  return parse_pass(ctx, node, serve_memcached, conf.target);
}

constexpr conf::Named<std::uint32_t> kNextNames[] = {
    {"error", kFailedError}, {"timeout", kFailedTimeout}, {"invalid_response", kInvalidHeader},
    {"not_found", kHttp404}, {"off", kNextOff},
};

Status parse_next_upstream(Context& ctx, const Node& node) {
  return parse_bits(ctx, node, ctx.conf<MemcachedConf>().transfer.next_upstream, kNextNames);
}

Status parse_memcached_bind(Context& ctx, const Node& node) {
  return parse_bind(ctx, node, ctx.conf<MemcachedConf>().transfer.bind);
}

template <auto Member>
constexpr auto transfer = set_transfer<&MemcachedConf::transfer, Member>;

constexpr conf::Directive kDirectives[] = {
    {.name = "memcached_pass",
     .where = conf::kLocationOrIf,
     .args = conf::exactly(1),
     .parse = parse_memcached_pass},
    {.name = "memcached_bind",
     .where = kHttpServerLocation,
     .args = conf::between(1, 2),
     .parse = parse_memcached_bind},
    {.name = "memcached_socket_keepalive",
     .where = kHttpServerLocation,
     .args = conf::flag(),
     .parse = transfer<&TransferConf::socket_keepalive>},
    {.name = "memcached_connect_timeout",
     .where = kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = transfer<&TransferConf::connect_timeout>},
    {.name = "memcached_send_timeout",
     .where = kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = transfer<&TransferConf::send_timeout>},
    {.name = "memcached_read_timeout",
     .where = kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = transfer<&TransferConf::read_timeout>},
    {.name = "memcached_buffer_size",
     .where = kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = transfer<&TransferConf::buffer_size>},
    {.name = "memcached_next_upstream",
     .where = kHttpServerLocation,
     .args = conf::at_least(1),
     .parse = parse_next_upstream},
    {.name = "memcached_next_upstream_tries",
     .where = kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = transfer<&TransferConf::next_upstream_tries>},
    {.name = "memcached_next_upstream_timeout",
     .where = kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = transfer<&TransferConf::next_upstream_timeout>},
    {.name = "memcached_gzip_flag",
     .where = kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = conf::set<&MemcachedConf::gzip_flag>},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<MemcachedConf>()};

}  // namespace

const conf::Module kMemcachedModule = {.name = "http_memcached", .directives = kDirectives, .confs = kConfs};

}  // namespace mp::upstream
