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

// What a handler produced flows from top to bottom: conditions on the unchanged response first, then Lua and
// added fields, then what rewrites the body, compression after everything that reads text, ranges of the
// final form last.
const std::vector<http::FilterRow> kOrder = {
    {slice_head, wants_slice},
    not_modified,
    {more_headers, kMoreHeadersModule},  // in front of Lua, as in OpenResty: Lua sees the fields it sets
    {lua::lua_header_filter, lua::wants_header_filter},
    {srcache_store, kSrcacheModule},
    {echo_body, kEchoBodyModule},
    {headers, kHeadersModule},
    {userid, kUseridModule},
    {gunzip, kGunzipModule},
    {addition_head, kAdditionModule},  // what reads text does so of an empty page that is added to
    {sub, kSubModule},
    charset,
    {ssi_page, kSsiModule},
    {slice_body, wants_slice},  // what is above sees one request's text, what is below the whole body
    {addition, kAdditionModule},
    http::ordered_body,
    {gzip, kGzipModule},
    range,
    {trailers, kHeadersModule},  // ranges need the length of the body
    http::finish_location,
};

}  // namespace

const std::span<const http::FilterRow> kHeaderFilters = kOrder;

}  // namespace mp::filters
