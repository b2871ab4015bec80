#include "filters/echo_body.hpp"

#include <memory>
#include <vector>

#include "filters/echo_args.hpp"
#include "http/request.hpp"

namespace mp::filters {

using conf::Context;
using conf::Node;
using http::Output;
using http::Piece;
using http::Request;

namespace {

using Lines = std::vector<EchoArgs>;

struct EchoBodyConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  std::shared_ptr<Lines> before;
  std::shared_ptr<Lines> after;

  Status merge(Context&, const EchoBodyConf& parent) {
    if (before == nullptr) before = parent.before;
    if (after == nullptr) after = parent.after;
    return {};
  }
};

template <std::shared_ptr<Lines> EchoBodyConf::* Which>
Status parse_line(Context& ctx, const Node& node) {
  auto args = EchoArgs::compile(ctx, node);
  if (!args) return fail(std::move(args.error()));
  auto& lines = ctx.conf<EchoBodyConf>().*Which;
  if (lines == nullptr) lines = std::make_shared<Lines>();
  lines->push_back(std::move(*args));
  return {};
}

class EchoBody final : public http::BodyFilter {
 public:
  explicit EchoBody(const EchoBodyConf& conf) : conf_(conf) {}

  bool write(Request& r, const Output& output) override {
    if (!begun_) {
      begun_ = true;
      if (conf_.before != nullptr && !send(r, *conf_.before)) return false;
    }
    if (!output.last || conf_.after == nullptr) return next(r, output);
    if (!next(r, Output{output.pieces, false, output.flush})) return false;
    return send(r, *conf_.after) && next(r, Output{{}, true, false});
  }

 private:
  bool send(Request& r, const Lines& lines) {
    for (const EchoArgs& line : lines) {
      const Piece piece = Piece::memory(line.line(r));
      if (!piece.bytes.empty() && !next(r, Output{std::span(&piece, 1), false, false})) return false;
    }
    return true;
  }

  const EchoBodyConf& conf_;
  bool begun_ = false;
};

constexpr conf::Directive kDirectives[] = {
    {.name = "echo_before_body",
     .where = conf::kLocationOrIf,
     .args = conf::any_number(),
     .parse = parse_line<&EchoBodyConf::before>},
    {.name = "echo_after_body",
     .where = conf::kLocationOrIf,
     .args = conf::any_number(),
     .parse = parse_line<&EchoBodyConf::after>},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<EchoBodyConf>()};

}  // namespace

void echo_body(Request& r) {
  const auto& c = r.conf<EchoBodyConf>();
  if (c.before == nullptr && c.after == nullptr) return;
  r.clear_content_length();
  r.clear_accept_ranges();
  r.add_body_filter<EchoBody>(c);
}

const conf::Module kEchoBodyModule = {.name = "http_echo_body", .directives = kDirectives, .confs = kConfs};

}  // namespace mp::filters
