#include "phases/phases.hpp"

namespace mp::phases {

http::PhaseTable table(std::span<void (*const)(http::Request&)> header_filters) {
  http::PhaseTable table;
  auto at = [&table](http::Phase phase) -> std::span<const http::Handler>& {
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
  table.header_filters = header_filters;
  return table;
}

}  // namespace mp::phases
