#include "filters/order.hpp"

#include <vector>

namespace mp::filters {
namespace {

using HeaderFilter = void (*)(http::Request&);

// What a handler produced flows from top to bottom: conditions on the unchanged response first, then Lua and added
// fields, then what rewrites the body, compression after everything that reads text, ranges of the final form last.
const std::vector<HeaderFilter> kOrder = {
};

}  // namespace

const std::span<const HeaderFilter> kHeaderFilters = kOrder;

}  // namespace mp::filters
