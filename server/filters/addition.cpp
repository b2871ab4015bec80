#include "filters/addition.hpp"

#include <utility>

#include "conf/setters.hpp"
#include "http/include_point.hpp"
#include "http/mime_setting.hpp"
#include "http/subrequest.hpp"

namespace mp::filters {

using http::Output;
using http::Request;

namespace {

struct AdditionConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  conf::Setting<std::string_view> before;
  conf::Setting<std::string_view> after;
  http::MimeSetting types;

  Status merge(conf::Context&, const AdditionConf& parent) {
    before.inherit(parent.before);
    after.inherit(parent.after);
    http::inherit_mime_types(types, parent.types, http::kHtmlOnly);
    return {};
  }
};

class AdditionBody final : public http::BodyFilter {
 public:
  AdditionBody(std::string_view before, std::string_view after) : before_(before), after_(after) {}

  bool write(Request& r, const Output& output) override {
    if (!before_.empty() && !add(r, std::exchange(before_, {}))) return false;
    if (!output.last || after_.empty()) return next(r, output);
    if (!output.pieces.empty() && !next(r, Output{output.pieces, false, false})) return false;
    return add(r, after_) && next(r, Output{{}, true, false});
  }

 private:
  class Below final : public http::Sink {
   public:
    Below(AdditionBody& filter, Request& r) : filter_(filter), r_(r) {}
    bool send_head(Request&, bool) override { return true; }
    bool send_body(Request&, const Output& output) override {
      if (output.pieces.empty() && !output.flush) return true;
      return filter_.next(r_, Output{output.pieces, false, output.flush});
    }

   private:
    AdditionBody& filter_;
    Request& r_;
  };

  bool add(Request& r, std::string_view uri) {
    Below below(*this, r);
    http::SubrequestOptions options;
    options.share_variables = true;
    http::run_subrequest(r, uri, options, below);
    return !r.aborted;
  }

  std::string_view before_, after_;
};

Status parse_types(conf::Context& ctx, const conf::Node& node) {
  return http::parse_mime_types(ctx, node, ctx.conf<AdditionConf>().types);
}

constexpr conf::Directive kDirectives[] = {
    {.name = "add_before_body",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = conf::set<&AdditionConf::before>},
    {.name = "add_after_body",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = conf::set<&AdditionConf::after>},
    {.name = "addition_types",
     .where = conf::kHttpServerLocation,
     .args = conf::at_least(1),
     .parse = parse_types},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<AdditionConf>()};

bool adds(Request& r) {
  if (r.out.status != 200 || r.is_sub()) return false;
  const auto& c = r.conf<AdditionConf>();
  return !(c.before->empty() && c.after->empty()) && c.types->contains(r.out.content_type);
}

}  // namespace

void addition_head(Request& r) {
  if (!adds(r)) return;
  r.clear_content_length();
  r.clear_accept_ranges();
  r.weaken_etag();
}

void addition(Request& r) {
  if (!adds(r)) return;
  const auto& c = r.conf<AdditionConf>();
  http::set_include_point(r, r.add_body_filter<AdditionBody>(c.before.get(), c.after.get()));
}

const conf::Module kAdditionModule = {.name = "http_addition", .directives = kDirectives, .confs = kConfs};

}  // namespace mp::filters
