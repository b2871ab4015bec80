#include "filters/gzip.hpp"

#include <memory>
#include <string>
#include <vector>

#include <unistd.h>
#include <zlib.h>

#include "base/numbers.hpp"
#include "conf/setters.hpp"
#include "filters/gzip_accept.hpp"
#include "http/core_conf.hpp"
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

// One deflate stream. Its memory is the largest a request can take, so finished ones are kept for the next.
class Deflater {
 public:
  static std::unique_ptr<Deflater> take(int level, int window_bits, int memory_level) {
    auto& spare = pool();
    for (auto it = spare.begin(); it != spare.end(); ++it) {
      if ((*it)->level_ != level || (*it)->window_bits_ != window_bits ||
          (*it)->memory_level_ != memory_level)
        continue;
      auto found = std::move(*it);
      spare.erase(it);
      return found;
    }
    auto made = std::unique_ptr<Deflater>(new Deflater(level, window_bits, memory_level));
    return made->ready_ ? std::move(made) : nullptr;
  }
  static void give_back(std::unique_ptr<Deflater> deflater) {
    constexpr std::size_t kKept = 16;
    if (deflater == nullptr || pool().size() >= kKept || deflateReset(&deflater->stream) != Z_OK) return;
    pool().push_back(std::move(deflater));
  }
  ~Deflater() {
    if (ready_) deflateEnd(&stream);
  }
  z_stream stream{};

 private:
  Deflater(int level, int window_bits, int memory_level)
      : level_(level), window_bits_(window_bits), memory_level_(memory_level) {
    constexpr int kGzipFormat = 16;
    ready_ = deflateInit2(&stream, level, Z_DEFLATED, window_bits + kGzipFormat, memory_level,
                          Z_DEFAULT_STRATEGY) == Z_OK;
  }
  static std::vector<std::unique_ptr<Deflater>>& pool() {
    static std::vector<std::unique_ptr<Deflater>> spare;
    return spare;
  }
  int level_, window_bits_, memory_level_;
  bool ready_ = false;
};

class GzipBody final : public http::BodyFilter {
 public:
  GzipBody(const GzipConf& c, std::unique_ptr<Deflater> deflater)
      : conf_(c), deflater_(std::move(deflater)) {}
  ~GzipBody() override { Deflater::give_back(std::move(deflater_)); }

  bool write(Request& r, const Output& output) override {
    if (deflater_ == nullptr) return next(r, output);
    for (const Piece& piece : output.pieces) {
      if (!(piece.in_file() ? deflate_file(r, piece) : deflate_bytes(r, piece.bytes, Z_NO_FLUSH)))
        return false;
    }
    if (output.last && !deflate_bytes(r, {}, Z_FINISH)) return false;
    if (output.flush && !output.last && !deflate_bytes(r, {}, Z_SYNC_FLUSH)) return false;
    const bool send = output.last || output.flush || out_.size() >= conf_.buffers->size;
    if (!send) return true;
    const Piece piece = Piece::memory(out_);
    const std::span<const Piece> pieces = out_.empty() ? std::span<const Piece>() : std::span(&piece, 1);
    const bool ok = next(r, Output{pieces, output.last, output.flush});
    out_.clear();
    if (output.last) Deflater::give_back(std::move(deflater_));
    return ok;
  }

 private:
  bool deflate_bytes(Request& r, std::string_view bytes, int mode) {
    z_stream& z = deflater_->stream;
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    z.avail_in = static_cast<uInt>(bytes.size());
    auto& totals = r.ctx<GzipTotals>();
    totals.in += bytes.size();
    int rc;
    do {
      const std::size_t room = conf_.buffers->size;
      const std::size_t before = out_.size();
      out_.resize(before + room);
      z.next_out = reinterpret_cast<Bytef*>(out_.data() + before);
      z.avail_out = static_cast<uInt>(room);
      rc = deflate(&z, mode);
      out_.resize(before + room - z.avail_out);
      totals.out += room - z.avail_out;
      if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR) {
        log::alert(r.logger, "deflate() failed: {}, {}", mode, rc);
        return false;
      }
      if (out_.size() >= conf_.buffers->size * conf_.buffers->count && !pass_on(r)) return false;
    } while (z.avail_in > 0 || (z.avail_out == 0 && rc != Z_STREAM_END));
    return true;
  }

  bool deflate_file(Request& r, const Piece& piece) {
    constexpr std::size_t kRead = 32 * 1024;
    auto buffer = std::make_unique<char[]>(kRead);
    off_t offset = piece.offset;
    std::size_t left = piece.file_size;
    while (left > 0) {
      const ssize_t n = pread(piece.fd, buffer.get(), left < kRead ? left : kRead, offset);
      if (n <= 0) {
        log::alert(r.logger, log::Errno{n < 0 ? errno : 0}, "pread() failed while compressing a file");
        return false;
      }
      if (!deflate_bytes(r, {buffer.get(), static_cast<std::size_t>(n)}, Z_NO_FLUSH)) return false;
      offset += n;
      left -= static_cast<std::size_t>(n);
    }
    return true;
  }

  bool pass_on(Request& r) {
    const Piece piece = Piece::memory(out_);
    const bool ok = next(r, Output{{&piece, 1}, false, false});
    out_.clear();
    return ok;
  }

  const GzipConf& conf_;
  std::unique_ptr<Deflater> deflater_;
  std::string out_;
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
  if (!c.enabled || r.header_only) return;
  const int status = r.out.status;
  if (status != 200 && status != 403 && status != 404) return;
  if (!r.out.headers.value(HeaderId::content_encoding).empty()) return;
  if (r.out.content_length >= 0 && r.out.content_length < c.min_length.get()) return;
  if (!c.types->contains(r.out.content_type)) return;
  add_vary(r);
  if (!may_gzip(r)) return;
  constexpr int kMemoryLevel = 8;
  auto deflater =
      Deflater::take(static_cast<int>(c.level.get()), window_bits_for(c, r.out.content_length), kMemoryLevel);
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
