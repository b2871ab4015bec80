// Sources: every text a configuration was read from, kept for -T and for error excerpts. Owned by the
// Configuration; views into it are stable.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"

namespace mp::conf {

struct SourceFile {
  std::string name;  // absolute path, or "command line"
  std::string text;
  bool is_file = true;
};

class Sources {
 public:
  // Reads the file, once however often it is asked for; the index that Positions use.
  Result<std::uint32_t> open(std::string_view path);
  std::uint32_t add(std::string name, std::string text, bool is_file);

  const SourceFile& operator[](std::uint32_t index) const { return *files_[index]; }
  std::size_t size() const { return files_.size(); }

  // What -T prints: every file in the order it was first read, each under its name.
  std::string dump() const;

  // Line `line` of a file without its end, empty when there is none.
  std::string_view line(std::uint32_t file, std::uint32_t line) const;

 private:
  std::vector<std::unique_ptr<SourceFile>> files_;
  std::unordered_map<std::string_view, std::uint32_t> by_path_;  // real files; the keys are their names
};

}  // namespace mp::conf
