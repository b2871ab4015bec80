// Sticky sessions: `sticky cookie|route|learn` lets a client's requests go to the same peer. One Sticky an
// upstream, in the configuration; one StickySession a request, in its arena.
#pragma once

#include <string_view>

#include "conf/context.hpp"
#include "http/request.hpp"

namespace mp::upstream {

// What a request does about it, in the order of its life; picked() and the others once for every try.
class StickySession {
 public:
  virtual ~StickySession() = default;
  virtual std::string_view hint() = 0;         // the peer to prefer; empty: any
  virtual void picked(std::string_view) {}     // the peer that was chosen
  virtual void head_came(std::string_view) {}  // it has begun to answer
  virtual void done(std::string_view) {}       // it has served the request well
};

class Sticky {
 public:
  virtual ~Sticky() = default;
  virtual StickySession* make(http::Request& request) const = 0;
};

Status parse_sticky(conf::Context& ctx, const conf::Node& node);

}  // namespace mp::upstream
