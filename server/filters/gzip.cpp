#include "filters/gzip.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "base/numbers.hpp"
#include "conf/setters.hpp"
#include "filters/deflate.hpp"
#include "filters/gzip_accept.hpp"
#include "http/core_conf.hpp"
#include "http/file_io.hpp"
#include "http/include_point.hpp"
#include "http/mime.hpp"
#include "http/request.hpp"

namespace mp::filters {

using conf::Context;
using conf::Node;
using http::HeaderId;
using http::Output;
using http::Piece;
using http::Request;

namespace {

struct GzipConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  conf::Setting<bool> enabled;
  conf::Setting<bool> no_buffer;
  conf::Setting<conf::Bufs> buffers;
  conf::Setting<std::int64_t> level;
  conf::Setting<conf::Size> window;
  conf::Setting<conf::Size> hash;
  conf::Setting<conf::Size> postpone;
  conf::Setting<conf::Size> min_length;
  std::shared_ptr<http::MimeSet> types;

  Status merge(Context&, const GzipConf& parent) {
    enabled.inherit(parent.enabled, false);
    no_buffer.inherit(parent.no_buffer, false);
    buffers.inherit(parent.buffers, {32, 4096});
    level.inherit(parent.level, 1);
    window.inherit(parent.window, 32768);
    hash.inherit(parent.hash, 131072);
    postpone.inherit(parent.postpone, 0);
    min_length.inherit(parent.min_length, conf::Size(20));
    if (types == nullptr) types = parent.types;
    if (types == nullptr) {
      types = std::make_shared<http::MimeSet>();
      types->add("text/html");
    }
    return {};
  }
};

// Sizes of the whole request, for $gzip_ratio.
struct GzipTotals {
  std::uint64_t in = 0;
  std::uint64_t out = 0;
};

// The smallest window that holds the response saves memory for small ones.
int window_bits_for(const GzipConf& c, std::int64_t length) {
  int bits = 15;
  while (bits > 9 && (std::size_t{1} << bits) > c.window.get()) --bits;
  while (length > 0 && bits > 9 && (std::int64_t{1} << (bits - 1)) > length) --bits;
  return bits;
}

// A body that is known to end within this is compressed as a whole, one of unknown length within the other:
// zlib holds back as much before the first bytes come out.
constexpr std::size_t kMostWhole = 128 * 1024;
constexpr std::size_t kMostHeld = 64 * 1024;
constexpr std::size_t kFullWindow = 32 * 1024;

// How much of a response of `length` (-1: not known) is held back to be compressed as a whole; 0: nothing, it
// is compressed piece by piece.
std::size_t most_held(const GzipConf& c, std::int64_t length) {
  constexpr std::int64_t kStreamsOnly = 1;  // this level is quicker piece by piece than others as a whole
  if (c.level.get() == kStreamsOnly || c.no_buffer || length > static_cast<std::int64_t>(kMostWhole))
    return 0;
  const std::size_t most = length >= 0 ? kMostWhole : kMostHeld;
  // Compressed as a whole, a body may refer back to all of it: it must not be more than the window.
  return c.window.get() >= kFullWindow ? most : std::min<std::size_t>(most, c.window.get());
}

class GzipBody final : public http::BodyFilter {
 public:
  GzipBody(const GzipConf& c, std::int64_t length)
      : conf_(c), most_held_(most_held(c, length)), window_bits_(window_bits_for(c, length)) {}
  ~GzipBody() override { release(); }

  bool write(Request& r, const Output& output) override {
    if (ended_) return next(r, output);
    if (buffers_ == nullptr) buffers_ = DeflateBuffers::take();
    const bool ok = deflater_ == nullptr && can_hold(output) ? hold(r, output) : stream(r, output);
    if (output.last) {
      ended_ = true;
      release();
    }
    return ok;
  }

 private:
  bool can_hold(const Output& output) const {
    if (most_held_ == 0 || (output.flush && !output.last)) return false;
    return buffers_->in.size() + output.size() <= most_held_;
  }

  bool hold(Request& r, const Output& output) {
    std::string& held = buffers_->in;
    const auto pieces = output.pieces;
    const bool all_here = output.last && held.empty() && pieces.size() == 1 && !pieces[0].in_file();
    if (!all_here) {
      for (const Piece& piece : pieces) {
        if (!piece.in_file()) {
          held.append(piece.bytes);
        } else if (!read(r, piece, 0, piece.file_size)) {
          return false;
        }
      }
    }
    return !output.last || deflate_all(r, all_here ? pieces[0].bytes : held, output.flush);
  }

  bool deflate_all(Request& r, std::string_view body, bool flush) {
    if (!deflate_whole(static_cast<int>(conf_.level.get()), body, buffers_->out)) {
      log::alert(r.logger, "libdeflate_alloc_compressor() failed");
      return false;
    }
    r.ctx<GzipTotals>() = {.in = body.size(), .out = buffers_->out.size()};
    return pass_on(r, true, flush);
  }

  bool stream(Request& r, const Output& output) {
    if (deflater_ == nullptr && !start(r)) return false;
    for (const Piece& piece : output.pieces) {
      if (!(piece.in_file() ? deflate_file(r, piece) : deflate(r, piece.bytes, Deflater::Flush::none)))
        return false;
    }
    if (output.last && !deflate(r, {}, Deflater::Flush::finish)) return false;
    if (output.flush && !output.last && !deflate(r, {}, Deflater::Flush::sync)) return false;
    const bool wait = !output.last && !output.flush;
    const std::size_t made = buffers_->out.size();
    if (wait && (made == 0 || (made < conf_.buffers->size && !conf_.no_buffer))) return true;
    return pass_on(r, output.last, output.flush);
  }

  // With what was held back.
  bool start(Request& r) {
    deflater_ = Deflater::take(static_cast<int>(conf_.level.get()), window_bits_);
    if (deflater_ == nullptr) {
      log::alert(r.logger, "deflateInit2() failed");
      return false;
    }
    const bool ok = deflate(r, buffers_->in, Deflater::Flush::none);
    buffers_->in.clear();
    return ok;
  }

  bool deflate(Request& r, std::string_view bytes, Deflater::Flush flush) {
    auto& totals = r.ctx<GzipTotals>();
    totals.in += bytes.size();
    std::string& out = buffers_->out;
    Deflater::Result result;
    do {
      const std::size_t room = conf_.buffers->size;
      const std::size_t before = out.size();
      std::size_t made = 0;
      out.resize(before + room);
      result = deflater_->run(bytes, flush, {out.data() + before, room}, made);
      out.resize(before + made);
      totals.out += made;
      if (result == Deflater::Result::failed) {
        log::alert(r.logger, "deflate() failed: {}", static_cast<int>(flush));
        return false;
      }
      if (out.size() >= conf_.buffers->size * conf_.buffers->count && !pass_on(r, false, false)) return false;
    } while (result == Deflater::Result::more);
    return true;
  }

  bool deflate_file(Request& r, const Piece& piece) {
    constexpr std::size_t kAtOnce = 32 * 1024;
    for (std::size_t done = 0; done < piece.file_size;) {
      const std::size_t n = std::min(kAtOnce, piece.file_size - done);
      buffers_->in.clear();
      if (!read(r, piece, done, n) || !deflate(r, buffers_->in, Deflater::Flush::none)) return false;
      done += n;
    }
    return true;
  }

  // Appends `size` bytes of the piece, which begin at its byte `from`, to what is held.
  bool read(Request& r, const Piece& piece, std::size_t from, std::size_t size) {
    std::string& in = buffers_->in;
    const std::size_t before = in.size();
    in.resize(before + size);
    const ssize_t n =
        http::read_file(r, piece.fd, {in.data() + before, size}, piece.offset + static_cast<off_t>(from));
    if (n == static_cast<ssize_t>(size)) return true;
    log::alert(r.logger, log::Errno{n < 0 ? errno : 0}, "pread() failed while compressing a file");
    return false;
  }

  bool pass_on(Request& r, bool last, bool flush) {
    std::string& out = buffers_->out;
    const Piece piece = Piece::memory(out);
    const std::span<const Piece> pieces = out.empty() ? std::span<const Piece>() : std::span(&piece, 1);
    const bool ok = next(r, Output{pieces, last, flush});
    out.clear();
    return ok;
  }

  void release() {
    Deflater::give_back(std::move(deflater_));
    DeflateBuffers::give_back(std::move(buffers_));
  }

  const GzipConf& conf_;
  std::size_t most_held_;
  int window_bits_;
  bool ended_ = false;
  std::unique_ptr<DeflateBuffers> buffers_;
  std::unique_ptr<Deflater> deflater_;  // once it is compressed piece by piece
};

Status parse_types(Context& ctx, const Node& node) {
  auto& c = ctx.conf<GzipConf>();
  if (c.types == nullptr) {
    c.types = std::make_shared<http::MimeSet>();
    c.types->add("text/html");
  }
  for (const conf::Arg& arg : node.args) {
    if (!c.types->add(arg.text) && arg.text != "text/html") {
      ctx.warn(arg, "duplicate MIME type \"" + std::string(arg.text) + "\"");
    } else if (arg.text == "text/html") {
      ctx.warn(arg, "duplicate MIME type \"text/html\"");
    }
  }
  return {};
}

constexpr conf::Named<Proxied> kProxied[] = {
    {"off", Proxied::off},           {"expired", Proxied::expired},
    {"no-cache", Proxied::no_cache}, {"no-store", Proxied::no_store},
    {"private", Proxied::private_},  {"no_last_modified", Proxied::no_last_modified},
    {"no_etag", Proxied::no_etag},   {"auth", Proxied::auth},
    {"any", Proxied::any},
};

// A power of two from 512 on.
template <conf::Setting<conf::Size> GzipConf::* Member, std::size_t Most>
Status parse_power(Context& ctx, const Node& node) {
  TRY(conf::set<Member>(ctx, node));
  const std::size_t size = (ctx.conf<GzipConf>().*Member).get();
  if (std::has_single_bit(size) && size >= 512 && size <= Most) return {};
  return fail(Most == kFullWindow ? "must be 512, 1k, 2k, 4k, 8k, 16k, or 32k"
                                  : "must be 512, 1k, 2k, 4k, 8k, 16k, 32k, 64k, or 128k");
}

constexpr conf::Directive kDirectives[] = {
    {.name = "gzip",
     .where = conf::kHttpServerLocationIf,
     .args = conf::flag(),
     .parse = conf::set<&GzipConf::enabled>},
    {.name = "gzip_buffers",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(2),
     .parse = conf::set<&GzipConf::buffers>},
    {.name = "gzip_types",
     .where = conf::kHttpServerLocation,
     .args = conf::at_least(1),
     .parse = parse_types},
    {.name = "gzip_comp_level",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = conf::set_between<&GzipConf::level, 1, 9>},
    {.name = "gzip_window",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = parse_power<&GzipConf::window, kFullWindow>},
    {.name = "gzip_hash",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = parse_power<&GzipConf::hash, 131072>},
    {.name = "postpone_gzipping",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = conf::set<&GzipConf::postpone>},
    {.name = "gzip_no_buffer",
     .where = conf::kHttpServerLocation,
     .args = conf::flag(),
     .parse = conf::set<&GzipConf::no_buffer>},
    {.name = "gzip_min_length",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = conf::set<&GzipConf::min_length>},
    {.name = "gzip_vary",
     .where = conf::kHttpServerLocation,
     .args = conf::flag(),
     .parse = conf::set<&GzipAcceptConf::vary>},
    {.name = "gzip_http_version",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = parse_gzip_http_version},
    {.name = "gzip_proxied",
     .where = conf::kHttpServerLocation,
     .args = conf::at_least(1),
     .parse = conf::set_bits<&GzipAcceptConf::proxied, kProxied>},
    {.name = "gzip_disable",
     .where = conf::kHttpServerLocation,
     .args = conf::at_least(1),
     .parse = parse_gzip_disable},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<GzipConf>(), conf::conf_type<GzipAcceptConf>()};

http::Value gzip_ratio(Request& r, const http::Variable&) {
  const GzipTotals* totals = r.find_ctx<GzipTotals>();
  if (totals == nullptr || totals->out == 0) return http::Value::none();
  char text[kMaxDecimal + 2];
  const std::uint64_t hundredths = (totals->in * 1000 / totals->out + 5) / 10;
  char* end = print_fixed(text, static_cast<std::int64_t>(hundredths), 2);
  return http::Value::volatile_(r.arena.copy({text, static_cast<std::size_t>(end - text)}));
}

Status before_http(Context& ctx) {
  ctx.conf<http::CoreMain>().variables.define(
      http::Variable{.name = "gzip_ratio", .get = gzip_ratio, .cacheable = false});
  return {};
}

}  // namespace

void gzip(Request& r) {
  const auto& c = r.conf<GzipConf>();
  if (!c.enabled || (r.header_only && r.method != http::Method::head)) return;
  const int status = r.out.status;
  if (status != 200 && status != 403 && status != 404) return;
  if (!r.out.headers.value(HeaderId::content_encoding).empty()) return;
  if (r.out.content_length >= 0 && r.out.content_length < static_cast<std::int64_t>(c.min_length.get().value))
    return;
  if (!c.types->contains(r.out.content_type)) return;
  add_vary(r);
  if (!may_gzip(r)) return;
  const std::int64_t length = r.out.content_length;
  r.out.headers.set(HeaderId::content_encoding, "gzip");
  r.clear_content_length();
  r.clear_accept_ranges();
  r.weaken_etag();
  http::set_include_point(r, r.add_body_filter<GzipBody>(c, length));
}

const conf::Module kGzipModule = {
    .name = "http_gzip", .directives = kDirectives, .confs = kConfs, .before_http = before_http};

}  // namespace mp::filters
