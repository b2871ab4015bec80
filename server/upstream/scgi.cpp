// The scgi module.
#include <string>

#include "conf/setters.hpp"
#include "http/core_conf.hpp"
#include "upstream/cgi.hpp"
#include "upstream/cgi_modules.hpp"
#include "upstream/plain_cgi_dialect.hpp"
#include "upstream/transfer_rows.hpp"

namespace mp::upstream {
namespace {

using conf::Context;
using conf::Node;
using http::Request;
using http::Step;

struct ScgiConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  TransferConf transfer;
  CgiTarget target;
  CgiParamSets params;

  Status merge(Context& ctx, const ScgiConf& parent) {
    TRY(transfer.merge(ctx, parent.transfer, "scgi", kCgiHidden, "scgi_temp"));
    const auto& core = ctx.conf<http::CoreBlock>();
    if (core.is_block && !target.is_set()) target = parent.target;
    return params.merge(ctx, parent.params, transfer.cache, "scgi");
  }
};

class ScgiDialect final : public PlainCgiDialect {
 public:
  ScgiDialect(const TransferConf& conf, const CgiParamSets& params)
      : PlainCgiDialect(conf), params_(params) {}

  std::string_view scheme() const override { return "scgi://"; }

  // A netstring of names and values, each with a zero behind it; CONTENT_LENGTH comes first.
  std::string_view write_request(Request& r, bool streamed) override {
    const std::uint64_t body = sends_body() ? cgi_body_length(r, streamed) : 0;
    std::string fields("CONTENT_LENGTH");
    fields.push_back('\0');
    fields.append(std::to_string(body)).push_back('\0');
    for (const CgiValue& v : cgi_values(r, params_.of(r), conf_.pass_request_headers)) {
      fields.append(v.name).push_back('\0');
      fields.append(v.value).push_back('\0');
    }
    return r.arena.concat(std::string_view(std::to_string(fields.size())), ":", std::string_view(fields),
                          ",");
  }

 private:
  const CgiParamSets& params_;
};

Step serve_scgi(Request& r) {
  const auto& conf = r.conf<ScgiConf>();
  Destination destination;
  if (!find_cgi_server(r, conf.target, destination)) return Step::finish(500);
  ScgiDialect dialect(conf.transfer, conf.params);
  Transfer transfer(r, conf.transfer, dialect, destination, &conf);
  return transfer.run();
}

Status parse_pass(Context& ctx, const Node& node) {
  return parse_cgi_pass(ctx, node, node.args[0].text, serve_scgi, ctx.conf<ScgiConf>().target);
}
Status parse_param(Context& ctx, const Node& node) {
  return parse_cgi_param(ctx, node, ctx.conf<ScgiConf>().params.list);
}

constexpr std::array kOwnRows = {
    conf::Directive{
        .name = "scgi_pass", .where = conf::kLocationOrIf, .args = conf::exactly(1), .parse = parse_pass},
    conf::Directive{.name = "scgi_param",
                    .where = conf::kHttpServerLocation,
                    .args = conf::between(2, 3),
                    .parse = parse_param},
};
constexpr auto kDirectives =
    join_rows(kOwnRows, kConnectionRows<"scgi", &ScgiConf::transfer>, kBodyRows<"scgi", &ScgiConf::transfer>,
              kCacheRows<"scgi", &ScgiConf::transfer>);
constexpr conf::ConfType kConfs[] = {conf::conf_type<ScgiConf>()};

}  // namespace

const conf::Module kScgiModule = {.name = "http_scgi", .directives = kDirectives, .confs = kConfs};

}  // namespace mp::upstream
