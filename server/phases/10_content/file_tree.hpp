// Moving, copying and deleting files and folders, for WebDAV. Links are copied and deleted as links, never
// followed. All return 0 or an errno.
#pragma once

#include <string>

#include <sys/types.h>

namespace mp::phases {

// Puts the file `from` in place of `to` at once, also across file systems. Folders on the way are made on
// request.
int place_file(const std::string& from, const std::string& to, bool make_folders, mode_t folder_mode);
int copy_file(const std::string& from, const std::string& to);    // with rights and time
int copy_folder(const std::string& from, const std::string& to);  // `to` must not exist
int delete_folder(const std::string& path);                       // with all that is in it

}  // namespace mp::phases
