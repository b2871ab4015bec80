// allow and deny: the first rule that fits the client's address decides.
#include <string>
#include <vector>

#include "conf/setters.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"
#include "net/cidr.hpp"
#include "phases/07_access/access_modules.hpp"

namespace mp::phases {

using conf::Context;
using conf::Node;
using http::Request;
using http::Step;

namespace {

enum class Verdict : bool { allow, deny };

struct AddressRule {
  Verdict verdict;
  bool everyone = false;
  net::Cidr network;
};

struct AddressConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  std::vector<AddressRule> rules;

  Status merge(Context&, const AddressConf& parent) {
    if (rules.empty()) rules = parent.rules;
    return {};
  }
};

template <Verdict V>
Status parse_rule(Context& ctx, const Node& node) {
  const std::string_view text = node.args[0].text;
  AddressRule rule{V};
  if (text == "all") {
    rule.everyone = true;
  } else if (text == "unix:") {
    rule.network.family = AF_UNIX;
  } else {
    const auto parsed = net::parse_cidr(text);
    if (!parsed) return ctx.error(node.args[0], "invalid parameter \"" + std::string(text) + "\"");
    if (parsed->low_bits_meaningless) {
      ctx.warn(node.args[0], "low address bits of " + std::string(text) + " are meaningless");
    }
    rule.network = parsed->block;
  }
  ctx.conf<AddressConf>().rules.push_back(rule);
  return {};
}

constexpr conf::Scope kScopes = conf::kHttpServerLocation | conf::Scope::limit_except;

constexpr conf::Directive kDirectives[] = {
    {.name = "allow", .where = kScopes, .args = conf::exactly(1), .parse = parse_rule<Verdict::allow>},
    {.name = "deny", .where = kScopes, .args = conf::exactly(1), .parse = parse_rule<Verdict::deny>},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<AddressConf>()};

}  // namespace

Step check_address(Request& r) {
  const auto& rules = r.conf<AddressConf>().rules;
  if (rules.empty()) return Step::decline();
  const net::Address client = r.connection.client.unmapped();
  for (const AddressRule& rule : rules) {
    if (!rule.everyone && !rule.network.contains(client)) continue;
    if (rule.verdict == Verdict::allow) return Step::pass();
    // With `satisfy any` it is not the last word yet; the phase tells when it was.
    if (r.conf<http::CoreLocation>().satisfy == http::Satisfy::all)
      log::error(r.logger, "access forbidden by rule");
    return Step::finish(403);
  }
  return Step::decline();
}

const conf::Module kAddressModule = {.name = "http_access", .directives = kDirectives, .confs = kConfs};

}  // namespace mp::phases
