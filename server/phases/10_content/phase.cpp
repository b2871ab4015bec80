// Phase 10, content. Who makes the response when the location names no handler of its own.
#include <vector>

#include "phases/10_content/dav_module.hpp"
#include "phases/10_content/folder_modules.hpp"
#include "phases/10_content/static_module.hpp"
#include "phases/phases.hpp"

namespace mp::phases {
namespace {

const std::vector<http::PhaseRow> kOrder = {
    {serve_dav, kDavModule},  // first: it also answers methods that the others refuse
    {pick_random_file, kRandomIndexModule},
    serve_index,                      // a URI that ends in a slash becomes that of its index file
    {list_folder, kAutoindexModule},  // a folder without an index file
    {serve_gzip_static, kGzipStaticModule},
    serve_file,  // last: whatever is left is a file
};

}  // namespace

const std::span<const http::PhaseRow> kContent = kOrder;

}  // namespace mp::phases
