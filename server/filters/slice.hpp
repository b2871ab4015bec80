// slice: a large response is fetched from the upstream in parts of one size, one subrequest after the other,
// so that each can be cached by itself. The first part is the request itself, whose $slice_range asks for it.
#pragma once

#include "conf/module.hpp"

namespace mp::http {
class Request;
}

namespace mp::filters {

extern const conf::Module kSliceModule;

// Whether the filters below have anything to do: the configuration has the directive somewhere.
bool wants_slice(const conf::Sets& sets);

// Header filters: the first of all turns the head of a part into that of the whole; the second adds the stage
// that asks for the other parts, behind those that read text.
void slice_head(http::Request& request);
void slice_body(http::Request& request);

}  // namespace mp::filters
