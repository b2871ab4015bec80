// The uwsgi module.
#include <string>

#include "base/ascii.hpp"
#include "base/strings.hpp"
#include "conf/setters.hpp"
#include "http/core_conf.hpp"
#include "upstream/cgi_modules.hpp"
#include "upstream/plain_cgi_dialect.hpp"
#include "upstream/ssl_rows.hpp"
#include "upstream/transfer_rows.hpp"
#include "upstream/upstream.hpp"

namespace mp::upstream {
namespace {

using conf::Context;
using conf::Node;
using http::Request;
using http::Step;

constexpr std::string_view kHidden[] = {"X-Accel-Expires", "X-Accel-Redirect", "X-Accel-Limit-Rate",
                                        "X-Accel-Buffering", "X-Accel-Charset"};

constexpr std::string_view kPlain = "uwsgi://";
constexpr std::string_view kTls = "suwsgi://";

struct UwsgiConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  TransferConf transfer;
  UpstreamSsl ssl;
  CgiTarget target;
  bool tls = false;
  CgiParamSets params;
  conf::Setting<std::string_view> text;  // uwsgi_string
  conf::Setting<std::int64_t> modifier1;
  conf::Setting<std::int64_t> modifier2;

  Status merge(Context& ctx, const UwsgiConf& parent) {
    TRY(transfer.merge(ctx, parent.transfer, "uwsgi", kHidden, "uwsgi_temp"));
    text.inherit(parent.text);
    modifier1.inherit(parent.modifier1, 0);
    modifier2.inherit(parent.modifier2, 0);
    const auto& core = ctx.conf<http::CoreBlock>();
    if (core.is_block && !target.is_set()) {
      target = parent.target;
      tls = parent.tls;
    }
    TRY(ssl.merge(ctx, parent.ssl, "uwsgi", tls || target.url.has_value()));
    return params.merge(ctx, parent.params, transfer.cache, "uwsgi");
  }
};

class UwsgiDialect final : public PlainCgiDialect {
 public:
  UwsgiDialect(const UwsgiConf& conf, bool tls) : PlainCgiDialect(conf.transfer), uwsgi_(conf), tls_(tls) {}

  std::string_view scheme() const override { return tls_ ? kTls : kPlain; }

  // modifier1, the size of what follows (two bytes, the lower first), modifier2; names and values with their
  // sizes in front.
  std::string_view write_request(Request& r, bool) override {
    const auto values = cgi_values(r, uwsgi_.params.of(r), conf_.pass_request_headers);
    std::size_t size = 0;
    for (const CgiValue& v : values) size += 4 + v.name.size() + v.value.size();
    const std::string_view text = uwsgi_.text.get();
    size += text.size();
    if (size > 65535) {
      log::alert(r.logger, "uwsgi request is too little or too big: {}", size);
      return {};
    }
    char* const start = r.arena.bytes(4 + size);
    char* p = start;
    *p++ = static_cast<char>(uwsgi_.modifier1.get());
    p = put_size(p, size);
    *p++ = static_cast<char>(uwsgi_.modifier2.get());
    for (const CgiValue& v : values) {
      p = put_size(p, v.name.size());
      p += v.name.copy(p, v.name.size());
      p = put_size(p, v.value.size());
      p += v.value.copy(p, v.value.size());
    }
    p += text.copy(p, text.size());
    return {start, static_cast<std::size_t>(p - start)};
  }

 private:
  static char* put_size(char* p, std::size_t size) {
    *p++ = static_cast<char>(size);
    *p++ = static_cast<char>(size >> 8);
    return p;
  }
  const UwsgiConf& uwsgi_;
  const bool tls_;
};

Step serve_uwsgi(Request& r) {
  const auto& conf = r.conf<UwsgiConf>();
  Destination destination;
  const bool found = find_cgi_server(r, conf.target, destination);
  if (!found) return Step::finish(500);
  bool tls = conf.tls;
  if (conf.target.url) tls = starts_with_nocase(conf.target.url->evaluate(r), kTls);
  if (tls) {
    destination.ssl = &conf.ssl;
    destination.ssl_name =
        destination.upstream != nullptr ? std::string_view(destination.upstream->host) : destination.host;
  }
  UwsgiDialect dialect(conf, tls);
  Transfer transfer(r, conf.transfer, dialect, destination, &conf);
  return transfer.run();
}

Status parse_pass(Context& ctx, const Node& node) {
  std::string_view address = node.args[0].text;
  auto& conf = ctx.conf<UwsgiConf>();
  if (!http::has_variables(address)) {
    conf.tls = starts_with_nocase(address, kTls);
    if (conf.tls || starts_with_nocase(address, kPlain)) {
      address.remove_prefix(conf.tls ? kTls.size() : kPlain.size());
    }
  }
  return parse_cgi_pass(ctx, node, address, serve_uwsgi, conf.target);
}
Status parse_param(Context& ctx, const Node& node) {
  return parse_cgi_param(ctx, node, ctx.conf<UwsgiConf>().params.list);
}

constexpr std::array kOwnRows = {
    conf::Directive{
        .name = "uwsgi_pass", .where = conf::kLocationOrIf, .args = conf::exactly(1), .parse = parse_pass},
    conf::Directive{.name = "uwsgi_param",
                    .where = conf::kHttpServerLocation,
                    .args = conf::between(2, 3),
                    .parse = parse_param},
    conf::Directive{.name = "uwsgi_string",
                    .where = conf::kHttpServerLocation,
                    .args = conf::exactly(1),
                    .parse = conf::set<&UwsgiConf::text>},
    conf::Directive{.name = "uwsgi_modifier1",
                    .where = conf::kHttpServerLocation,
                    .args = conf::exactly(1),
                    .parse = conf::set_between<&UwsgiConf::modifier1, 0, 255>},
    conf::Directive{.name = "uwsgi_modifier2",
                    .where = conf::kHttpServerLocation,
                    .args = conf::exactly(1),
                    .parse = conf::set_between<&UwsgiConf::modifier2, 0, 255>},
};
constexpr auto kDirectives = join_rows(
    kOwnRows, kConnectionRows<"uwsgi", &UwsgiConf::transfer>, kBodyRows<"uwsgi", &UwsgiConf::transfer>,
    kCacheRows<"uwsgi", &UwsgiConf::transfer>, kSslRows<"uwsgi", &UwsgiConf::ssl>);
constexpr conf::ConfType kConfs[] = {conf::conf_type<UwsgiConf>()};

}  // namespace

const conf::Module kUwsgiModule = {.name = "http_uwsgi", .directives = kDirectives, .confs = kConfs};

}  // namespace mp::upstream
