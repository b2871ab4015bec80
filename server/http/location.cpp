#include "http/location.hpp"

#include <bit>
#include <cstring>
#include <string>
#include <utility>

#include "base/sixteen.hpp"
#include "http/core_conf.hpp"
#include "http/regex_index.hpp"
#include "http/request.hpp"

namespace mp::http {

// While names are added: a radix tree over the bytes of names. Each node stands for a name or a common
// beginning of names.
struct LocationTree::Draft {
  std::string_view edge;  // the bytes between the parent and this node
  const Location* prefix = nullptr;
  const Location* redirecting = nullptr;
  std::vector<std::unique_ptr<Draft>> children;
  std::string firsts;  // the first byte of each child's edge

  void add_child(std::unique_ptr<Draft> node) {
    firsts.push_back(node->edge[0]);
    children.push_back(std::move(node));
  }

  // The node for `name` below this one, made when missing.
  Draft* insert(std::string_view name) {
    if (name.empty()) return this;
    const std::size_t at = firsts.find(name[0]);
    if (at == std::string::npos) {
      auto leaf = std::make_unique<Draft>();
      leaf->edge = name;
      Draft* made = leaf.get();
      add_child(std::move(leaf));
      return made;
    }
    Draft& next = *children[at];
    std::size_t common = 0;
    while (common < name.size() && common < next.edge.size() && name[common] == next.edge[common]) ++common;
    if (common < next.edge.size()) next.split(common);
    return next.insert(name.substr(common));
  }

  // Cuts the edge: this node becomes the common beginning, its old self a child.
  void split(std::size_t at) {
    auto rest = std::make_unique<Draft>();
    rest->edge = edge.substr(at);
    rest->prefix = std::exchange(prefix, nullptr);
    rest->redirecting = std::exchange(redirecting, nullptr);
    rest->children = std::move(children);
    rest->firsts = std::move(firsts);
    children.clear();
    firsts.clear();
    edge = edge.substr(0, at);
    add_child(std::move(rest));
  }
};

// A node as lookups read it: one cache line, but for edges and branchings too large for it.
struct alignas(64) LocationTree::Node {
  // Short texts in place, others by their address: of names in the configuration, or of `spilled_`.
  class Text {
   public:
    static constexpr std::size_t kInPlace = 16;
    explicit Text(std::string_view text) : size_(static_cast<std::uint32_t>(text.size())) {
      const char* address = text.data();
      if (size_ <= kInPlace) {
        text.copy(bytes_, size_);
      } else {
        std::memcpy(bytes_, &address, sizeof(address));
      }
    }
    operator std::string_view() const {
      if (size_ <= kInPlace) return {bytes_, size_};
      const char* address;
      std::memcpy(&address, bytes_, sizeof(address));
      return {address, size_};
    }

    std::size_t size() const { return size_; }
    // Where `c` is; npos when it is nowhere.
    std::size_t find(char c) const {
#if MP_SIXTEEN
      if (size_ <= kInPlace) {
        const unsigned found = sixteen::mask(sixteen::is(sixteen::load(bytes_), c)) & sixteen::first(size_);
        return found != 0 ? static_cast<std::size_t>(std::countr_zero(found)) : std::string_view::npos;
      }
#endif
      return std::string_view(*this).find(c);
    }
    [[gnu::always_inline]] bool is_prefix_of(std::string_view text) const {
      if (size_ > kInPlace) return text.starts_with(*this);
      if (text.size() < size_) return false;
      const char* const p = text.data();
      if (size_ >= 8) return same<std::uint64_t>(p, size_);
      if (size_ >= 4) return same<std::uint32_t>(p, size_);
      return size_ == 0 || (p[0] == bytes_[0] && (size_ == 1 || same<std::uint16_t>(p, size_)));
    }

   private:
    // Compares the first and the last Word of so many bytes, which overlap or meet.
    template <class Word>
    bool same(const char* p, std::size_t size) const {
      Word a[2];
      Word b[2];
      std::memcpy(&a[0], p, sizeof(Word));
      std::memcpy(&a[1], p + size - sizeof(Word), sizeof(Word));
      std::memcpy(&b[0], bytes_, sizeof(Word));
      std::memcpy(&b[1], bytes_ + size - sizeof(Word), sizeof(Word));
      return ((a[0] ^ b[0]) | (a[1] ^ b[1])) == 0;
    }

    std::uint32_t size_;
    char bytes_[kInPlace] = {};
  };

  Node(const Draft& draft, std::string_view firsts_text)
      : prefix(draft.prefix), redirecting(draft.redirecting), edge(draft.edge), firsts(firsts_text) {}

  // The longest prefix of `uri` among the names below the first of `nodes`.
  static Match find(const std::vector<Node>& nodes, std::string_view uri);
  const Node* child(const std::vector<Node>& nodes, char c) const {
    const std::size_t at = firsts.find(c);
    return at != std::string_view::npos ? &nodes[first_child + at] : nullptr;
  }

  const Location* prefix;
  const Location* redirecting;  // who wants a slash that is missing at the end of this name added
  Text edge;                    // the bytes between the parent and this node
  Text firsts;                  // the first byte of each child's edge
  std::uint32_t first_child = 0;
};

// Level by level, so that siblings are neighbours.
void LocationTree::freeze(const Draft& root) {
  static_assert(sizeof(Node) == 64);
  std::vector<const Draft*> order = {&root};
  for (std::size_t i = 0; i < order.size(); ++i) {
    for (const auto& child : order[i]->children) order.push_back(child.get());
  }
  nodes_.reserve(order.size());
  std::size_t next = 1;
  for (const Draft* draft : order) {
    std::string_view firsts = draft->firsts;
    if (firsts.size() > Node::Text::kInPlace) firsts = spilled_.emplace_front(firsts);
    Node& node = nodes_.emplace_back(*draft, firsts);
    node.first_child = static_cast<std::uint32_t>(next);
    next += draft->children.size();
  }
}

LocationTree::LocationTree() = default;
LocationTree::LocationTree(LocationTree&&) noexcept = default;
LocationTree& LocationTree::operator=(LocationTree&&) noexcept = default;
LocationTree::~LocationTree() = default;

Status LocationTree::build(std::vector<Location*> locations) {
  if (locations.empty()) return {};
  Draft root;
  for (Location* l : locations) {
    switch (l->kind) {
      case Location::Kind::block:
        break;
      case Location::Kind::regex:
        regexes_.push_back(l);
        break;
      case Location::Kind::named:
        named_.push_back(l);
        break;
      case Location::Kind::exact:
        if (exact_ == nullptr) exact_ = std::make_unique<Exact>();
        if (!exact_->add(l->name, l)) return fail("duplicate location \"" + std::string(l->name) + "\"");
        if (l->auto_redirect) root.insert(l->name)->redirecting = l;
        break;
      default: {
        Draft* node = root.insert(l->name);
        if (node->prefix != nullptr) return fail("duplicate location \"" + std::string(l->name) + "\"");
        node->prefix = l;
        if (l->auto_redirect && node->redirecting == nullptr) node->redirecting = l;
      }
    }
  }
  freeze(root);
  constexpr std::size_t kFew = 3;  // tried faster than looked up
  if (regexes_.size() > kFew) {
    std::vector<std::string_view> patterns;
    for (const Location* l : regexes_) patterns.push_back(l->regex->pattern());
    regex_index_ = std::make_unique<RegexIndex>();
    regex_index_->build(patterns);
  }
  return {};
}

LocationTree::Match LocationTree::find_prefix(std::string_view uri) const {
  if (exact_ != nullptr) {
    if (const Location* const* found = exact_->find(uri)) return {*found, true, false};
  }
  return nodes_.empty() ? Match() : Node::find(nodes_, uri);
}

LocationTree::Match LocationTree::Node::find(const std::vector<Node>& nodes, std::string_view uri) {
  Match match;
  for (const Node* node = nodes.data();;) {
    if (node->prefix != nullptr) match.location = node->prefix;
    if (uri.empty()) {
      if (node->prefix != nullptr) return match;
      const Node* slash = node->child(nodes, '/');
      if (slash == nullptr || std::string_view(slash->edge).size() != 1) return match;
      if (slash->redirecting == nullptr) return match;
      return {slash->redirecting, true, true};
    }
    const Node* next = node->child(nodes, uri[0]);
    if (next == nullptr) return match;
    if (!next->edge.is_prefix_of(uri)) {
      const std::string_view edge = next->edge;
      // "/a" with only "/a/" below: the name may end in the middle of an edge.
      if (edge.size() == uri.size() + 1 && edge.back() == '/' && edge.starts_with(uri)) {
        if (next->redirecting != nullptr) return {next->redirecting, true, true};
      }
      return match;
    }
    uri.remove_prefix(next->edge.size());
    node = next;
  }
}

const Location* LocationTree::find_named(std::string_view name) const {
  for (const Location* l : named_) {
    if (l->name == name) return l;
  }
  return nullptr;
}

namespace {

struct Search {
  Request& request;
  bool& redirect_slash;
  bool final = false;  // an exact match, or a regex: nothing may override it
};

// The first regex location that matches.
const Location* first_matching(Request& r, const LocationTree& tree) {
  const std::vector<Location*>& regexes = tree.regexes();
  RegexIndex::Candidates candidates;
  if (tree.regex_index() != nullptr && tree.regex_index()->find(r.uri, candidates)) {
    for (const std::uint32_t position : candidates) {
      if (regexes[position]->regex->match(r, r.uri)) return regexes[position];
    }
    return nullptr;
  }
  for (const Location* l : regexes) {
    if (l->regex->match(r, r.uri)) return l;
  }
  return nullptr;
}

const Location* search(Search& s, const LocationTree& tree);

const Location* search_nested(Search& s, const Location& location) {
  return location.children != nullptr ? search(s, *location.children) : nullptr;
}

// The regex location that matches, with its nested ones; `found` when there is none.
[[gnu::noinline]] const Location* search_regexes(Search& s, const LocationTree& tree, const Location* found) {
  const Location* l = first_matching(s.request, tree);
  if (l == nullptr) return found;
  s.final = true;
  const Location* inner = search_nested(s, *l);
  return inner != nullptr ? inner : l;
}

// The best location of `tree`, with its nested ones.
const Location* search(Search& s, const LocationTree& tree) {
  const LocationTree::Match match = tree.find_prefix(s.request.uri);
  const Location* found = match.location;
  if (match.exact) {
    s.redirect_slash = match.redirect_slash;
    s.final = true;
    return found;
  }
  bool no_regex = false;
  if (found != nullptr) {
    no_regex = found->kind == Location::Kind::prefix_no_regex;
    if (const Location* inner = search_nested(s, *found)) found = inner;
    if (s.final) return found;
    if (found->kind == Location::Kind::prefix_no_regex) no_regex = true;
  }
  return no_regex || tree.regexes().empty() ? found : search_regexes(s, tree, found);
}

}  // namespace

const Location* find_location(Request& request, bool& redirect_slash) {
  if (request.server == nullptr) return nullptr;
  Search s{request, redirect_slash};
  return search(s, request.server->locations);
}

}  // namespace mp::http
