// What autoindex shows of a folder, in its formats. Pure: texts out of entries.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mp::phases {

struct FolderEntry {
  std::string name;
  bool is_folder = false;
  bool is_file = false;
  std::int64_t modified = 0;
  std::int64_t size = 0;
};

// Folders first, then by name.
void sort_entries(std::vector<FolderEntry>& entries);

struct HtmlListing {
  bool exact_size = true;
  bool utf8 = false;             // names are counted in characters
  std::int64_t time_offset = 0;  // seconds, for local time
};
std::string list_as_html(std::string_view uri, const std::vector<FolderEntry>& entries,
                         const HtmlListing& options);
std::string list_as_xml(const std::vector<FolderEntry>& entries);
// As the argument of `callback` when it is not empty.
std::string list_as_json(const std::vector<FolderEntry>& entries, std::string_view callback);

}  // namespace mp::phases
