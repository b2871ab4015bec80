#include "filters/order.hpp"

#include <vector>

#include "filters/gzip.hpp"
#include "filters/headers.hpp"
#include "filters/not_modified.hpp"
#include "filters/range.hpp"
#include "filters/userid.hpp"
#include "lua/hooks/hooks.hpp"

namespace mp::filters {
namespace {

using HeaderFilter = void (*)(http::Request&);

// What a handler produced flows from top to bottom: conditions on the unchanged response first, then Lua and
// added fields, then what rewrites the body, compression after everything that reads text, ranges of the
// final form last.
const std::vector<HeaderFilter> kOrder = {
    not_modified, lua::lua_header_filter, headers, userid, gzip, range,
};

}  // namespace

const std::span<const HeaderFilter> kHeaderFilters = kOrder;

}  // namespace mp::filters
