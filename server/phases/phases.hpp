// The lifecycle of a request in one place: what runs in each phase, in running order. Each span is defined in
// the phase.cpp of its folder, with the reason for the order.
#pragma once

#include <span>

#include "http/engine.hpp"
#include "http/step.hpp"

namespace mp::phases {

extern const std::span<const http::PhaseRow> kPostRead;
extern const std::span<const http::PhaseRow> kServerRewrite;
extern const std::span<const http::PhaseRow> kRewrite;
extern const std::span<const http::PhaseRow> kPreaccess;
extern const std::span<const http::PhaseRow> kAccess;
extern const std::span<const http::PhaseRow> kPrecontent;
extern const std::span<const http::PhaseRow> kContent;
extern const std::span<void (*const)(http::Request&)> kLog;

// All of them and the header filters, for the engine.
http::PhaseTable table();

// Has no directives: gives each block its plan.
extern const conf::Module kPlanModule;

}  // namespace mp::phases
