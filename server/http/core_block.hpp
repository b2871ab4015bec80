// CoreBlock: what belongs to one location-level block alone: nothing in it is inherited. That of a location
// is part of its Location.
#pragma once

#include <cstdint>

#include "conf/module.hpp"
#include "http/script.hpp"
#include "http/step.hpp"

namespace mp::http {

struct Location;

struct CoreBlock {
  static constexpr conf::Level kLevel = conf::Level::location;
  Handler handler = nullptr;  // content handler set by a directive of this very block
  conf::ConfSet* limit_except_set = nullptr;
  std::uint32_t limit_except = 0;  // methods excepted; the others enter limit_except_set
  bool is_block = false;  // an `if` or limit_except block: takes its parent's handler when it has none
  // Whether the file system of this block's files can tell what is in memory; found out at run time.
  bool files_know_memory = true;
  Script script;                       // that of an `if` is part of its surrounding one
  const Location* location = nullptr;  // the block this set was made for; null for http {} and server {}
};

}  // namespace mp::http
