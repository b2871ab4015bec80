#include "phases/phases.hpp"

#include "filters/order.hpp"

namespace mp::phases {

http::PhaseTable table() {
  http::PhaseTable table;
  auto at = [&table](http::Phase phase) -> std::span<const http::PhaseRow>& {
    return table.handlers[static_cast<int>(phase)];
  };
  at(http::Phase::post_read) = kPostRead;
  at(http::Phase::server_rewrite) = kServerRewrite;
  at(http::Phase::rewrite) = kRewrite;
  at(http::Phase::preaccess) = kPreaccess;
  at(http::Phase::access) = kAccess;
  at(http::Phase::precontent) = kPrecontent;
  at(http::Phase::content) = kContent;
  table.log_handlers = kLog;
  table.header_filters = filters::kHeaderFilters;
  return table;
}

namespace {

Status make_plans(conf::Context& ctx) {
  http::make_plans(ctx, table());
  return {};
}

}  // namespace

const conf::Module kPlanModule = {.name = "phases", .after_http = make_plans};

}  // namespace mp::phases
