#include "http/location.hpp"

#include <string>

#include "http/core_conf.hpp"
#include "http/regex_index.hpp"
#include "http/request.hpp"

namespace mp::http {

// A radix tree over the bytes of exact and prefix names. Each node stands for a name or a common beginning of
// names.
struct LocationTree::Node {
  std::string_view edge;  // the bytes between the parent and this node
  const Location* exact = nullptr;
  const Location* prefix = nullptr;
  std::vector<std::unique_ptr<Node>> children;
  std::string firsts;  // the first byte of each child's edge

  Node* child(char c) const {
    const std::size_t at = firsts.find(c);
    return at != std::string::npos ? children[at].get() : nullptr;
  }

  void add_child(std::unique_ptr<Node> node) {
    firsts.push_back(node->edge[0]);
    children.push_back(std::move(node));
  }

  // The node for `name` below this one, made when missing.
  Node* insert(std::string_view name) {
    if (name.empty()) return this;
    Node* next = child(name[0]);
    if (next == nullptr) {
      auto leaf = std::make_unique<Node>();
      leaf->edge = name;
      Node* made = leaf.get();
      add_child(std::move(leaf));
      return made;
    }
    std::size_t common = 0;
    while (common < name.size() && common < next->edge.size() && name[common] == next->edge[common]) ++common;
    if (common == next->edge.size()) return next->insert(name.substr(common));
    next->split(common);
    return next->insert(name.substr(common));
  }

  // Cuts the edge: this node becomes the common beginning, its old self a child.
  void split(std::size_t at) {
    auto rest = std::make_unique<Node>();
    rest->edge = edge.substr(at);
    rest->exact = std::exchange(exact, nullptr);
    rest->prefix = std::exchange(prefix, nullptr);
    rest->children = std::move(children);
    rest->firsts = std::move(firsts);
    children.clear();
    firsts.clear();
    edge = edge.substr(0, at);
    add_child(std::move(rest));
  }
};

LocationTree::LocationTree() = default;
LocationTree::LocationTree(LocationTree&&) noexcept = default;
LocationTree& LocationTree::operator=(LocationTree&&) noexcept = default;
LocationTree::~LocationTree() = default;

Status LocationTree::build(std::vector<Location*> locations) {
  if (locations.empty()) return {};
  root_ = std::make_unique<Node>();
  for (Location* l : locations) {
    switch (l->kind) {
      case Location::Kind::block:
        break;
      case Location::Kind::regex:
        regexes_.push_back(l);
        break;
      case Location::Kind::named:
        if (find_named(l->name) != nullptr)
          return fail("duplicate location \"" + std::string(l->name) + "\"");
        named_.push_back(l);
        break;
      default: {
        Node* node = root_->insert(l->name);
        const Location*& slot = l->kind == Location::Kind::exact ? node->exact : node->prefix;
        if (slot != nullptr) return fail("duplicate location \"" + std::string(l->name) + "\"");
        slot = l;
      }
    }
  }
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
  Match match;
  const Node* node = root_.get();
  if (node == nullptr) return match;
  for (;;) {
    if (node->prefix != nullptr) match.location = node->prefix;
    if (uri.empty()) {
      if (node->exact != nullptr) return {node->exact, true, false};
      if (const Node* slash = node->child('/'); slash != nullptr && slash->edge.size() == 1) {
        const Location* longer = slash->prefix != nullptr ? slash->prefix : slash->exact;
        if (longer != nullptr && longer->auto_redirect && node->prefix == nullptr)
          return {longer, true, true};
      }
      return match;
    }
    const Node* next = node->child(uri[0]);
    if (next == nullptr || !uri.starts_with(next->edge)) {
      // "/a" with only "/a/" below: the name may end in the middle of an edge.
      if (next != nullptr && next->edge.size() == uri.size() + 1 && next->edge.back() == '/' &&
          next->edge.starts_with(uri)) {
        const Location* longer = next->prefix != nullptr ? next->prefix : next->exact;
        if (longer != nullptr && longer->auto_redirect) return {longer, true, true};
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
    if (const Location* inner = search(s, found->children)) found = inner;
    if (s.final) return found;
    if (found->kind == Location::Kind::prefix_no_regex) no_regex = true;
  }
  if (no_regex) return found;
  const Location* l = first_matching(s.request, tree);
  if (l == nullptr) return found;
  s.final = true;
  const Location* inner = search(s, l->children);
  return inner != nullptr ? inner : l;
}

}  // namespace

const Location* find_location(Request& request, bool& redirect_slash) {
  if (request.server == nullptr) return nullptr;
  Search s{request, redirect_slash};
  return search(s, request.server->locations);
}

}  // namespace mp::http
