// The grpc module: passes gRPC on, which is HTTP/2 with trailers and with bodies that go both ways at once.
#pragma once

#include "conf/module.hpp"

namespace mp::upstream {

extern const conf::Module kGrpcModule;

}  // namespace mp::upstream
