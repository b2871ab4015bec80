// The lifecycle of a request in one place: what runs in each phase, in running order. Each span is defined in
// the phase.cpp of its folder, with the reason for the order.
#pragma once

#include <span>

#include "http/engine.hpp"
#include "http/step.hpp"

namespace mp::phases {

extern const std::span<const http::Handler> kPostRead;
extern const std::span<const http::Handler> kServerRewrite;
extern const std::span<const http::Handler> kRewrite;
extern const std::span<const http::Handler> kPreaccess;
extern const std::span<const http::Handler> kAccess;
extern const std::span<const http::Handler> kPrecontent;
extern const std::span<const http::Handler> kContent;
extern const std::span<void (*const)(http::Request&)> kLog;

// All of them, for the engine. `header_filters` come from server/filters/order.cpp.
http::PhaseTable table(std::span<void (*const)(http::Request&)> header_filters);

}  // namespace mp::phases
