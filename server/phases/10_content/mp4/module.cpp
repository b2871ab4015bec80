// mp4 and flv: files that players ask for from a certain time, or byte, on.
#include <cerrno>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/numbers.hpp"
#include "conf/setters.hpp"
#include "http/core_conf.hpp"
#include "http/file_path.hpp"
#include "http/open_file.hpp"
#include "http/request.hpp"
#include "http/uri.hpp"
#include "phases/10_content/mp4/movie.hpp"
#include "phases/10_content/small_modules.hpp"
#include "phases/10_content/static_module.hpp"

namespace mp::phases {

using http::Request;
using http::Step;

namespace {

struct Mp4Conf {
  static constexpr conf::Level kLevel = conf::Level::location;
  conf::Setting<conf::Size> buffer_size;
  conf::Setting<conf::Size> max_buffer_size;
  conf::Setting<bool> start_key_frame;
  Status merge(conf::Context&, const Mp4Conf& parent) {
    buffer_size.inherit(parent.buffer_size, conf::Size(512 * 1024));
    max_buffer_size.inherit(parent.max_buffer_size, conf::Size(10 * 1024 * 1024));
    start_key_frame.inherit(parent.start_key_frame, false);
    return {};
  }
};

// What goes before a part of a Flash video.
constexpr std::string_view kFlvHeader("FLV\x01\x05\0\0\0\x09\0\0\0\0", 13);

// What the response is made of, as long as it lasts.
struct MadeHead {
  std::string bytes;
};

// Opens the file of the request. Null when `step` is the answer.
http::FileRef open_video(Request& r, Step& step) {
  step = Step::decline();
  if (r.method != http::Method::get && r.method != http::Method::head) {
    step = Step::finish(405);
    return nullptr;
  }
  if (r.uri.ends_with('/')) return nullptr;
  const std::string_view path = http::map_to_path(r, r.uri);
  http::FileRef file = http::open_file(r, path);
  if (!file->ok()) {
    step = refuse_file(r, *file, path);
    return nullptr;
  }
  return file->is_file ? file : nullptr;
}

Step send_part(Request& r, const http::FileRef& file, std::string_view head, off_t offset,
               std::int64_t size) {
  if (!send_file_head(r, file, static_cast<std::int64_t>(head.size()) + size)) return Step::done();
  const http::Piece pieces[] = {http::Piece::memory(head),
                                http::Piece::file(file->fd, offset, static_cast<std::size_t>(size))};
  r.write(http::Output{pieces, true, false});
  return Step::done();
}

Step send_flv(Request& r) {
  Step step = Step::decline();
  const http::FileRef file = open_video(r, step);
  if (file == nullptr) return step;
  const auto text = http::find_arg(r.args, "start");
  const auto start = text ? parse_natural<std::int64_t>(*text) : std::nullopt;
  if (!start || *start == 0 || *start >= file->size) return send_opened_file(r, file);
  return send_part(r, file, kFlvHeader, *start, file->size - *start);
}

// Seconds with a fraction of any length, in milliseconds; nothing when it is no such number, or of centuries.
std::optional<std::uint64_t> parse_time(std::string_view text) {
  const std::size_t dot = std::min(text.find('.'), text.size());
  std::uint64_t ms = 0;
  if (text.size() <= (dot < text.size() ? 1 : 0)) return std::nullopt;
  for (const char c : text.substr(0, dot)) {
    if (c < '0' || c > '9' || ms > 10'000'000'000) return std::nullopt;
    ms = ms * 10 + static_cast<std::uint64_t>(c - '0');
  }
  ms *= 1000;
  std::uint64_t unit = 100;
  for (const char c : text.substr(std::min(dot + 1, text.size()))) {
    if (c < '0' || c > '9') return std::nullopt;
    ms += unit * static_cast<std::uint64_t>(c - '0');
    unit /= 10;
  }
  return ms;
}

// The part that the arguments `start` and `end` name; an `end` before the start counts for nothing.
std::optional<mp4::Cut> wanted_part(const Request& r) {
  const auto read = [&](std::string_view name) {
    const auto text = http::find_arg(r.args, name);
    return text ? parse_time(*text) : std::nullopt;
  };
  const auto start = read("start");
  const auto end = read("end");
  if (!start && end.value_or(0) == 0) return std::nullopt;
  mp4::Cut cut{start.value_or(0), 0, r.conf<Mp4Conf>().start_key_frame};
  if (end && *end > cut.start) cut.length = *end - cut.start;
  return cut;
}

Step send_mp4(Request& r) {
  Step step = Step::decline();
  const http::FileRef file = open_video(r, step);
  if (file == nullptr) return step;
  const auto cut = wanted_part(r);
  if (!cut) return send_opened_file(r, file);

  const auto& c = r.conf<Mp4Conf>();
  auto part = mp4::cut_file(r, file->fd, file->size, {c.buffer_size, c.max_buffer_size}, *cut);
  if (!part) {
    log::error(r.logger, "{} in \"{}\"", part.error().text, http::map_to_path(r, r.uri));
    return Step::finish(500);
  }
  r.out.single_range = true;
  if (!*part) return send_opened_file(r, file);
  std::string& head = r.ctx<MadeHead>().bytes;
  head = std::move((*part)->head);
  return send_part(r, file, head, (*part)->offset, (*part)->size);
}

template <Step (*Handler)(Request&)>
Status handle(conf::Context& ctx, const conf::Node&) {
  ctx.conf<http::CoreBlock>().handler = Handler;
  return {};
}

constexpr conf::Directive kFlvDirectives[] = {
    {.name = "flv", .where = conf::Scope::location, .args = conf::none(), .parse = handle<send_flv>},
};
constexpr conf::Directive kMp4Directives[] = {
    {.name = "mp4", .where = conf::Scope::location, .args = conf::none(), .parse = handle<send_mp4>},
    {.name = "mp4_buffer_size",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = conf::set<&Mp4Conf::buffer_size>},
    {.name = "mp4_max_buffer_size",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = conf::set<&Mp4Conf::max_buffer_size>},
    {.name = "mp4_start_key_frame",
     .where = conf::kHttpServerLocation,
     .args = conf::flag(),
     .parse = conf::set<&Mp4Conf::start_key_frame>},
};
constexpr conf::ConfType kMp4Confs[] = {conf::conf_type<Mp4Conf>()};

}  // namespace

const conf::Module kFlvModule = {.name = "http_flv", .directives = kFlvDirectives};
const conf::Module kMp4Module = {.name = "http_mp4", .directives = kMp4Directives, .confs = kMp4Confs};

}  // namespace mp::phases
