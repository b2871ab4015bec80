#include "filters/order.hpp"

#include <vector>

#include "filters/addition.hpp"
#include "filters/charset.hpp"
#include "filters/echo_body.hpp"
#include "filters/gunzip.hpp"
#include "filters/gzip.hpp"
#include "filters/headers.hpp"
#include "filters/more_headers.hpp"
#include "filters/not_modified.hpp"
#include "filters/range.hpp"
#include "filters/slice.hpp"
#include "filters/srcache.hpp"
#include "filters/ssi/ssi.hpp"
#include "filters/sub.hpp"
#include "filters/userid.hpp"
#include "http/ordered_body.hpp"
#include "http/redirect.hpp"
#include "lua/hooks/hooks.hpp"

namespace mp::filters {
namespace {

using HeaderFilter = void (*)(http::Request&);

// What a handler produced flows from top to bottom: conditions on the unchanged response first, then Lua and
// added fields, then what rewrites the body, compression after everything that reads text, ranges of the
// final form last.
const std::vector<HeaderFilter> kOrder = {
    slice_head,
    not_modified,
    more_headers,  // in front of Lua, as in OpenResty: Lua sees the fields it sets
    lua::lua_header_filter,
    srcache_store,
    echo_body,
    headers,
    userid,
    gunzip,
    sub,
    charset,
    ssi_page,
    slice_body,  // what is above sees one request's text, what is below the whole body
    addition,
    http::ordered_body,
    gzip,
    range,
    http::finish_location,
};

}  // namespace

const std::span<const HeaderFilter> kHeaderFilters = kOrder;

}  // namespace mp::filters
