#include "filters/gzip.hpp"

#include <algorithm>
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
  conf::Setting<std::int64_t> min_length;
  std::shared_ptr<http::MimeSet> types;

  Status merge(Context&, const GzipConf& parent) {
    enabled.inherit(parent.enabled, false);
    no_buffer.inherit(parent.no_buffer, false);
    buffers.inherit(parent.buffers, {32, 4096});
    level.inherit(parent.level, 1);
    window.inherit(parent.window, 32768);
    hash.inherit(parent.hash, 131072);
    postpone.inherit(parent.postpone, 0);
    min_length.inherit(parent.min_length, 20);
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

class GzipBody final : public http::BodyFilter {
 public:
  GzipBody(const GzipConf& c, std::unique_ptr<Deflater> deflater)
      : conf_(c), deflater_(std::move(deflater)) {}
  ~GzipBody() override { Deflater::give_back(std::move(deflater_)); }

  bool write(Request& r, const Output& output) override {
    if (deflater_ == nullptr) return next(r, output);
    for (const Piece& piece : output.pieces) {
      if (!(piece.in_file() ? deflate_file(r, piece) : deflate(r, piece.bytes, Deflater::Flush::none)))
        return false;
    }
    if (output.last && !deflate(r, {}, Deflater::Flush::finish)) return false;
    if (output.flush && !output.last && !deflate(r, {}, Deflater::Flush::sync)) return false;
    std::string& out = deflater_->out;
    if (!output.last && !output.flush && out.size() < conf_.buffers->size) return true;
    const Piece piece = Piece::memory(out);
    const std::span<const Piece> pieces = out.empty() ? std::span<const Piece>() : std::span(&piece, 1);
    const bool ok = next(r, Output{pieces, output.last, output.flush});
    out.clear();
    if (output.last) Deflater::give_back(std::move(deflater_));
    return ok;
  }

 private:
  bool deflate(Request& r, std::string_view bytes, Deflater::Flush flush) {
    auto& totals = r.ctx<GzipTotals>();
    totals.in += bytes.size();
    std::string& out = deflater_->out;
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
      if (out.size() >= conf_.buffers->size * conf_.buffers->count && !pass_on(r)) return false;
    } while (result == Deflater::Result::more);
    return true;
  }

  bool deflate_file(Request& r, const Piece& piece) {
    auto& buffer = deflater_->read_buffer;
    if (buffer == nullptr) buffer = std::make_unique_for_overwrite<char[]>(Deflater::kReadSize);
    off_t offset = piece.offset;
    std::size_t left = piece.file_size;
    while (left > 0) {
      const ssize_t n =
          http::read_file(r, piece.fd, {buffer.get(), std::min(left, Deflater::kReadSize)}, offset);
      if (n <= 0) {
        log::alert(r.logger, log::Errno{n < 0 ? errno : 0}, "pread() failed while compressing a file");
        return false;
      }
      if (!deflate(r, {buffer.get(), static_cast<std::size_t>(n)}, Deflater::Flush::none)) return false;
      offset += n;
      left -= static_cast<std::size_t>(n);
    }
    return true;
  }

  bool pass_on(Request& r) {
    const Piece piece = Piece::memory(deflater_->out);
    const bool ok = next(r, Output{{&piece, 1}, false, false});
    deflater_->out.clear();
    return ok;
  }

  const GzipConf& conf_;
  std::unique_ptr<Deflater> deflater_;
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
     .parse = conf::set<&GzipConf::window>},
    {.name = "gzip_hash",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = conf::set<&GzipConf::hash>},
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

// The smallest window that holds the response saves memory for small ones.
int window_bits_for(const GzipConf& c, std::int64_t length) {
  int bits = 15;
  while (bits > 9 && (std::size_t{1} << bits) > c.window.get()) --bits;
  while (length > 0 && bits > 9 && (std::int64_t{1} << (bits - 1)) > length) --bits;
  return bits;
}

}  // namespace

void gzip(Request& r) {
  const auto& c = r.conf<GzipConf>();
  if (!c.enabled || (r.header_only && r.method != http::Method::head)) return;
  const int status = r.out.status;
  if (status != 200 && status != 403 && status != 404) return;
  if (!r.out.headers.value(HeaderId::content_encoding).empty()) return;
  if (r.out.content_length >= 0 && r.out.content_length < c.min_length.get()) return;
  if (!c.types->contains(r.out.content_type)) return;
  add_vary(r);
  if (!may_gzip(r)) return;
  auto deflater = Deflater::take(static_cast<int>(c.level.get()), window_bits_for(c, r.out.content_length));
  if (deflater == nullptr) return log::alert(r.logger, "deflateInit2() failed");
  r.out.headers.set(HeaderId::content_encoding, "gzip");
  r.clear_content_length();
  r.clear_accept_ranges();
  r.weaken_etag();
  http::set_include_point(r, r.add_body_filter<GzipBody>(c, std::move(deflater)));
}

const conf::Module kGzipModule = {
    .name = "http_gzip", .directives = kDirectives, .confs = kConfs, .before_http = before_http};

}  // namespace mp::filters
