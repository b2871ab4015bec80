// empty_gif: a transparent picture of one pixel.
#include <string_view>

#include "http/body.hpp"
#include "http/core_conf.hpp"
#include "http/request.hpp"
#include "phases/10_content/small_modules.hpp"

namespace mp::phases {

using http::Request;
using http::Step;

namespace {

constexpr char kPicture[] =
    "GIF89a\x01\x00\x01\x00\x80\x01\x00"        // 1 x 1, two colours
    "\x00\x00\x00\xff\xff\xff"                  // black, white
    "\x21\xf9\x04\x01\x00\x00\x01\x00"          // the second colour is transparent
    "\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00"  // the picture: all of it
    "\x02\x02\x4c\x01\x00;";
constexpr std::time_t kPictureTime = 23349600;

Step show_picture(Request& r) {
  if (r.method != http::Method::get && r.method != http::Method::head) return Step::finish(405);
  if (!http::discard_body(r)) r.keepalive = false;
  r.out.last_modified = kPictureTime;
  return r.respond(200, "image/gif", {kPicture, sizeof kPicture - 1});
}

Status parse_empty_gif(conf::Context& ctx, const conf::Node&) {
  ctx.conf<http::CoreBlock>().handler = show_picture;
  return {};
}

constexpr conf::Directive kDirectives[] = {
    {.name = "empty_gif", .where = conf::Scope::location, .args = conf::none(), .parse = parse_empty_gif},
};

}  // namespace

const conf::Module kEmptyGifModule = {.name = "http_empty_gif", .directives = kDirectives};

}  // namespace mp::phases
