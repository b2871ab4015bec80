// RewritingBody: base of the filters that read a body as text and write another one. They see bytes in memory
// only, whatever the pieces are, and append their output to out(), which is passed on when it is worth it.
#pragma once

#include <string>
#include <string_view>

#include "http/output.hpp"
#include "http/request.hpp"

namespace mp::filters {

class RewritingBody : public http::BodyFilter {
 public:
  bool write(http::Request& request, const http::Output& output) final;

 protected:
  // The next bytes of the body. False: the response cannot be completed.
  virtual bool take(http::Request& request, std::string_view bytes) = 0;
  // Behind the last byte, when the body is complete.
  virtual bool end(http::Request&) { return true; }

  std::string& out() { return out_; }
  // Hands on what out() has.
  bool pass_on(http::Request& request, bool last = false, bool flush = false);

 private:
  bool take_all(http::Request& request, const http::Output& output);
  bool take_file(http::Request& request, const http::Piece& piece);
  std::string out_;
};

}  // namespace mp::filters
