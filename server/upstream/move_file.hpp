// A finished temporary file goes where it is to stay.
#pragma once

#include <string>

#include "base/result.hpp"
#include "http/temp_file.hpp"

namespace mp::upstream {

// Renames, or copies across file systems; folders on the way are made. The name appears with the whole
// content. Slow disks hold up the worker for a rename only, or for the copy.
Status move_file(http::TempFile& file, const std::string& to, unsigned mode, unsigned folder_mode);

}  // namespace mp::upstream
