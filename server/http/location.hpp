// Locations and servers as the configuration describes them, and the lookups of the find-config phase.
#pragma once

#include <cstdint>
#include <forward_list>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "conf/module.hpp"
#include "http/core_block.hpp"
#include "http/regex.hpp"
#include "http/slot_table.hpp"

namespace mp::http {

class Request;

struct Location;
class RegexIndex;

// The locations of one block, arranged for lookup. Exact names are in a hash table, prefixes are found in one
// descent, which reads one cache line a step, and the regex locations to try, in their order, in one pass
// over the URI: none costs more when there are many.
class LocationTree {
 public:
  // Takes the children of a server or location. Errors: `duplicate location "x"`, `location "x" is outside
  // location "y"`.
  Status build(std::vector<Location*> locations);

  struct Match {
    const Location* location = nullptr;
    bool exact = false;           // `=`: no regex may override
    bool redirect_slash = false;  // "/a" asked, only "/a/" with auto redirect exists
  };
  Match find_prefix(std::string_view uri) const;
  const std::vector<Location*>& regexes() const { return regexes_; }
  // Tells which of these may match; null when there are too few to ask.
  const RegexIndex* regex_index() const { return regex_index_.get(); }
  const Location* find_named(std::string_view name) const;

  LocationTree();
  LocationTree(LocationTree&&) noexcept;
  LocationTree& operator=(LocationTree&&) noexcept;
  ~LocationTree();

 private:
  struct Draft;
  struct Node;
  void freeze(const Draft& root);

  using Exact = SlotTable<const Location*, TextHash, std::equal_to<>>;
  std::unique_ptr<Exact> exact_;            // null where there are none
  std::vector<Node> nodes_;                 // the first is the root; the children of each lie side by side
  std::forward_list<std::string> spilled_;  // texts too long for a node
  std::vector<Location*> regexes_;
  std::unique_ptr<RegexIndex> regex_index_;
  std::vector<Location*> named_;
};

// What a request reads comes first: it is in one cache line, which is cold where there are many locations.
struct alignas(64) Location {
  enum class Kind : std::uint8_t {
    prefix,
    prefix_no_regex,
    exact,
    regex,
    named,
    block
  };  // block: if, limit_except
  Kind kind = Kind::prefix;
  bool auto_redirect = false;  // proxy_pass and the like under a name that ends in '/'
  conf::ConfSet* set = nullptr;
  std::unique_ptr<LocationTree> children;  // null where nothing is nested
  CoreBlock block;                         // in `set`
  std::unique_ptr<HttpRegex> regex;
  std::string_view name;  // "/a/", the pattern, or "@name"
  std::vector<Location*> nested;
  Location* parent = nullptr;
};

struct alignas(64) Server {
  conf::Sets sets;  // server and location level of this server {}
  LocationTree locations;
  std::vector<Location*> all;
  const Location* root = nullptr;  // the server's own location set, when nothing matches
};

// The location for the request's uri: prefix, then regexes, nested ones included. Sets regex captures.
// Null when none matches: the server's own settings hold. `redirect` as in LocationTree::Match.
const Location* find_location(Request& request, bool& redirect_slash);

}  // namespace mp::http
