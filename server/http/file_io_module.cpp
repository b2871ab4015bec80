// aio, aio_write, directio, directio_alignment, output_buffers, read_ahead, sendfile_max_chunk.
#include <algorithm>
#include <string>

#include "base/numbers.hpp"
#include "base/strings.hpp"
#include "conf/configuration.hpp"
#include "conf/setters.hpp"
#include "http/file_io.hpp"

namespace mp::http {

using conf::Arg;
using conf::Context;
using conf::Node;

void FilePools::use(std::string_view name, const Node& node) {
  uses_.push_back({name, &node});
}

Status FilePools::finish(Context& ctx) {
  const auto& lines = ctx.conf<conf::ProcessConf>().thread_pools;
  for (const Use& use : uses_) {
    const bool defined =
        std::any_of(lines.begin(), lines.end(), [&](const auto& l) { return l.name == use.name; });
    if (defined || use.name == "default") continue;
    return ctx.error(*use.node, "unknown thread pool \"" + std::string(use.name) + "\"");
  }
  return {};
}

Status FileIoConf::merge(Context&, const FileIoConf& parent) {
  if (!aio.is_set()) pool = parent.pool;
  aio.inherit(parent.aio, Aio::off);
  aio_write.inherit(parent.aio_write, false);
  directio.inherit(parent.directio, -1);
  directio_alignment.inherit(parent.directio_alignment, 512);
  output_buffers.inherit(parent.output_buffers, {2, 32768});
  read_ahead.inherit(parent.read_ahead, 0);
  sendfile_max_chunk.inherit(parent.sendfile_max_chunk, 2 * 1024 * 1024);
  return {};
}

namespace {

Status parse_aio(Context& ctx, const Node& node) {
  auto& c = ctx.conf<FileIoConf>();
  if (c.aio.is_set()) return conf::duplicate();
  std::string_view value = node.arg(0);
  if (value == "off") return c.aio.set(Aio::off), Status();
  if (value == "on") return c.aio.set(Aio::on), Status();
  if (value != "threads" && !value.starts_with("threads=")) return fail("invalid value");
  c.aio.set(Aio::threads);
  consume(value, "threads");
  if (!consume(value, "=")) return {};
  auto pool = Template::compile(ctx, value);
  if (!pool) return ctx.error(node.args[0], pool.error().text);
  c.pool = std::move(*pool);
  if (c.pool.constant()) ctx.conf<FilePools>().use(value, node);
  return {};
}

Status parse_directio(Context& ctx, const Node& node) {
  auto& c = ctx.conf<FileIoConf>();
  if (node.arg(0) != "off") return conf::set<&FileIoConf::directio>(ctx, node);
  if (c.directio.is_set()) return conf::duplicate();
  c.directio.set(-1);
  return {};
}

constexpr conf::Directive kDirectives[] = {
    {.name = "aio", .where = conf::kHttpServerLocation, .args = conf::exactly(1), .parse = parse_aio},
    {.name = "aio_write",
     .where = conf::kHttpServerLocation,
     .args = conf::flag(),
     .parse = conf::set<&FileIoConf::aio_write>},
    {.name = "directio",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = parse_directio},
    {.name = "directio_alignment",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = conf::set<&FileIoConf::directio_alignment>},
    {.name = "output_buffers",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(2),
     .parse = conf::set<&FileIoConf::output_buffers>},
    {.name = "read_ahead",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = conf::set<&FileIoConf::read_ahead>},
    {.name = "sendfile_max_chunk",
     .where = conf::kHttpServerLocation,
     .args = conf::exactly(1),
     .parse = conf::set<&FileIoConf::sendfile_max_chunk>},
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<FilePools>(), conf::conf_type<FileIoConf>()};

}  // namespace

const conf::Module kFileIoModule = {.name = "http_file_io", .directives = kDirectives, .confs = kConfs};

}  // namespace mp::http
