#include "filters/gunzip.hpp"

#include <zlib.h>

#include "base/ascii.hpp"
#include "conf/setters.hpp"
#include "filters/gzip_accept.hpp"
#include "filters/rewriting_body.hpp"

namespace mp::filters {

using http::HeaderId;
using http::Request;

namespace {

struct GunzipConf {
  static constexpr conf::Level kLevel = conf::Level::location;
  conf::Setting<bool> enabled;
  conf::Setting<conf::Bufs> buffers;  // 32 4k

  Status merge(conf::Context&, const GunzipConf& parent) {
    enabled.inherit(parent.enabled, false);
    buffers.inherit(parent.buffers, {32, 4096});
    return {};
  }
};

class GunzipBody final : public RewritingBody {
 public:
  explicit GunzipBody(std::size_t step) : step_(step) {
    constexpr int kGzipOnly = 15 + 16;
    ready_ = inflateInit2(&stream_, kGzipOnly) == Z_OK;
  }
  ~GunzipBody() override {
    if (ready_) inflateEnd(&stream_);
  }

 protected:
  bool take(Request& r, std::string_view bytes) override {
    if (!ready_) {
      log::alert(r.logger, "inflateInit2() failed");
      return false;
    }
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(bytes.size());
    while (stream_.avail_in > 0 || more_) {
      // Several streams behind each other are one body.
      if (ended_) {
        if (inflateReset(&stream_) != Z_OK) return false;
        ended_ = false;
      }
      if (!step(r)) return false;
    }
    return true;
  }
  bool end(Request& r) override {
    if (ended_) return true;
    log::error(r.logger, "inflate() returned {} on response end", Z_BUF_ERROR);
    return false;
  }

 private:
  // Makes at most one buffer of output, and hands it on when it is full.
  bool step(Request& r) {
    const std::size_t before = out().size();
    out().resize(before + step_);
    stream_.next_out = reinterpret_cast<Bytef*>(out().data() + before);
    stream_.avail_out = static_cast<uInt>(step_);
    const int rc = inflate(&stream_, Z_NO_FLUSH);
    out().resize(before + step_ - stream_.avail_out);
    more_ = stream_.avail_out == 0;
    if (rc == Z_STREAM_END) {
      ended_ = true;
      more_ = false;
    } else if (rc != Z_OK && rc != Z_BUF_ERROR) {
      log::error(r.logger, "inflate() failed: {}, {}", static_cast<int>(Z_NO_FLUSH), rc);
      return false;
    }
    return !more_ || pass_on(r);
  }

  z_stream stream_{};
  std::size_t step_;
  bool ready_ = false;
  bool ended_ = true;  // no stream has begun, or the last one is complete
  bool more_ = false;  // output is waiting for room
};

constexpr conf::Directive kDirectives[] = {
    {.name = "gunzip",
     .where = conf::kHttpServerLocation,
     .args = conf::flag(),
     .parse = conf::set<&GunzipConf::enabled>},
    {.name = "gunzip_buffers",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(2),
     .parse = conf::set<&GunzipConf::buffers>},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<GunzipConf>()};

}  // namespace

void gunzip(Request& r) {
  const auto& c = r.conf<GunzipConf>();
  if (!c.enabled || !equals_nocase(r.out.headers.value(HeaderId::content_encoding), "gzip")) return;
  add_vary(r);
  if (may_gzip(r)) return;
  r.out.headers.remove(HeaderId::content_encoding);
  r.clear_content_length();
  r.clear_accept_ranges();
  r.weaken_etag();
  r.add_body_filter<GunzipBody>(c.buffers->size);
}

const conf::Module kGunzipModule = {.name = "http_gunzip", .directives = kDirectives, .confs = kConfs};

}  // namespace mp::filters
