// Includes: the output of a page in its order, while the subrequests it includes run in parallel, each on a
// fiber of its own. The one whose turn it is writes straight through; the others keep what they have, up to a
// limit, and wait.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "fiber/fiber.hpp"
#include "http/output.hpp"
#include "http/request.hpp"

namespace mp::filters::ssi {

class Includes {
 public:
  // `text` hands on the page's own text, included bodies go to http::write_included().
  Includes(http::Request& page, std::function<bool(std::string_view)> text);
  ~Includes();
  Includes(const Includes&) = delete;
  Includes& operator=(const Includes&) = delete;

  // Text of the page, behind everything so far.
  void add_text(std::string_view text);
  // The response of a subrequest at this place. `stub`: what to show when it fails or is empty.
  void add(std::string_view uri, std::string_view args, const std::string* stub);

  // Passes on what has its turn, without waiting for subrequests. False: the client has gone.
  bool advance();
  // Waits until everything was passed on.
  bool finish();
  bool empty() const { return items_.empty(); }
  // Ends all subrequests.
  void stop();

 private:
  class Job;
  struct Item {
    std::string text;
    std::unique_ptr<Job> job;
  };
  bool emit(const Item& item);

  http::Request& r_;
  std::function<bool(std::string_view)> text_;
  std::deque<Item> items_;
  bool emitting_ = false;  // somebody is passing on, and may be parked in it
  bool failed_ = false;
  fiber::Event changed_;
  std::unique_ptr<fiber::Group> running_;  // last: the jobs end before anything they use goes away
};

}  // namespace mp::filters::ssi
