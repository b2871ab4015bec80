// The redis2 module: redis2_query, redis2_raw_query, redis2_raw_queries, redis2_literal_raw_query,
// redis2_pass.
#include <string>

#include "base/numbers.hpp"
#include "conf/setters.hpp"
#include "http/content_type.hpp"
#include "http/request.hpp"
#include "upstream/pass_target.hpp"
#include "upstream/redis/redis2.hpp"
#include "upstream/redis/resp_reader.hpp"

namespace mp::upstream {
namespace {

using conf::Context;
using conf::kHttpServerLocation;
using conf::Node;
using http::Request;
using http::Step;

using Query = std::vector<http::Template>;  // of one redis2_query

// How a location says what to ask; the directives exclude each other.
enum class Source : std::uint8_t { none, queries, raw, literal };

struct Redis2Conf {
  static constexpr conf::Level kLevel = conf::Level::location;
  TransferConf transfer;
  PassTarget target;
  Source source = Source::none;
  std::vector<Query> queries;
  http::Template count;  // of raw queries
  http::Template raw;
  std::string_view literal;

  Status merge(Context& ctx, const Redis2Conf& parent) {
    transfer.buffering.set(false);
    TRY(transfer.merge(ctx, parent.transfer, "redis2", {}, "proxy_temp"));
    merge_pass(ctx, target, parent.target);
    if (source != Source::none) return {};
    source = parent.source;
    queries = parent.queries;
    count = parent.count;
    raw = parent.raw;
    literal = parent.literal;
    return {};
  }
};

class RedisDialect final : public Dialect {
 public:
  RedisDialect(std::string_view text, std::uint64_t replies) : text_(text), replies_(replies) {}

  std::string_view write_request(Request&, bool) override { return text_; }
  bool may_stream(const Request&) const override { return false; }
  bool sends_body() const override { return false; }
  std::string_view scheme() const override { return "redis2://"; }
  std::string_view uri() const override { return {}; }
  void restart() override {
    reader_ = RespReader(replies_);
    keepalive_ = false;
  }

  // There is no head: everything that comes is the body.
  Head read_head(Request& r, std::string_view data, Reply& reply, std::size_t& consumed) override {
    consumed = 0;
    RespReader probe(replies_);
    std::size_t used = 0;
    if (probe.feed(data, used) == RespReader::State::invalid) {
      log::error(r.logger, "Redis server returned invalid response.");
      return Head::invalid;
    }
    reply.status = 200;
    return Head::complete;
  }

  Body decode(Request& r, Reply&, char* data, std::size_t size, std::size_t& payload) override {
    switch (reader_.feed({data, size}, payload)) {
      case RespReader::State::more:
        return Body::more;
      case RespReader::State::done:
        keepalive_ = payload == size;
        return Body::done;
      case RespReader::State::invalid:
        break;
    }
    log::error(r.logger, "Redis server returned invalid response.");
    return Body::error;
  }

  bool keepalive() const override { return keepalive_; }

 private:
  std::string_view text_;
  std::uint64_t replies_;
  RespReader reader_{0};
  bool keepalive_ = false;
};

// The unified request form: *N, then every argument with its size.
void append_query(Request& r, const Query& query, std::string& text) {
  text.append("*").append(std::to_string(query.size())).append("\r\n");
  for (const http::Template& arg : query) {
    const std::string_view value = arg.evaluate(r);
    text.append("$").append(std::to_string(value.size())).append("\r\n").append(value).append("\r\n");
  }
}

// What to send, and how many replies come. False: the location or a variable does not say, which was logged.
bool make_queries(Request& r, const Redis2Conf& conf, std::string_view& text, std::uint64_t& replies) {
  switch (conf.source) {
    case Source::none:
      log::error(r.logger, "no redis2 query specified or the query is empty");
      return false;
    case Source::queries: {
      std::string all;
      for (const Query& query : conf.queries) append_query(r, query, all);
      text = r.arena.copy(all);
      replies = conf.queries.size();
      return true;
    }
    case Source::literal:
      text = conf.literal;
      replies = 1;
      return true;
    case Source::raw:
      break;
  }
  const std::string_view count = conf.count.evaluate(r);
  const auto number = parse_unsigned<std::uint64_t>(count, 1u << 20);
  if (!number || *number == 0) {
    log::error(r.logger, "Number of queries specified for redis2_raw_queries is invalid: \"{}\"", count);
    return false;
  }
  replies = *number;
  text = conf.raw.evaluate(r);
  if (!text.empty()) return true;
  log::error(r.logger, "no redis2 query specified or the query is empty");
  return false;
}

Step serve_redis2(Request& r) {
  const auto& conf = r.conf<Redis2Conf>();
  if (!http::discard_body(r)) r.keepalive = false;
  http::set_content_type(r);
  std::string_view text;
  std::uint64_t replies = 1;
  if (!make_queries(r, conf, text, replies)) return Step::finish(500);
  Destination destination;
  if (!conf.target.find(r, destination)) return Step::finish(500);
  RedisDialect dialect(text, replies);
  Transfer transfer(r, conf.transfer, dialect, destination, &conf);
  return transfer.run();
}

Status parse_redis2_pass(Context& ctx, const Node& node) {
  return parse_pass(ctx, node, serve_redis2, ctx.conf<Redis2Conf>().target);
}

Status claim(Redis2Conf& conf, Source source) {
  if (conf.source == source && source != Source::queries) return conf::duplicate();
  if (conf.source != Source::none && conf.source != source) {
    return fail("conflicts with the other directives that say what to ask Redis");
  }
  conf.source = source;
  return {};
}

Status read_template(Context& ctx, const conf::Arg& arg, http::Template& out) {
  auto value = http::Template::compile(ctx, arg.text);
  if (!value) return ctx.error(arg, value.error().text);
  out = std::move(*value);
  return {};
}

Status parse_query(Context& ctx, const Node& node) {
  auto& conf = ctx.conf<Redis2Conf>();
  TRY(claim(conf, Source::queries));
  Query& query = conf.queries.emplace_back();
  for (const conf::Arg& arg : node.args) TRY(read_template(ctx, arg, query.emplace_back()));
  return {};
}

Status parse_raw_query(Context& ctx, const Node& node) {
  auto& conf = ctx.conf<Redis2Conf>();
  TRY(claim(conf, Source::raw));
  conf.count = http::Template::literal("1");
  return read_template(ctx, node.args[0], conf.raw);
}

Status parse_raw_queries(Context& ctx, const Node& node) {
  auto& conf = ctx.conf<Redis2Conf>();
  TRY(claim(conf, Source::raw));
  TRY(read_template(ctx, node.args[0], conf.count));
  return read_template(ctx, node.args[1], conf.raw);
}

Status parse_literal(Context& ctx, const Node& node) {
  auto& conf = ctx.conf<Redis2Conf>();
  TRY(claim(conf, Source::literal));
  conf.literal = node.args[0].text;
  return {};
}

constexpr conf::Named<std::uint32_t> kNextNames[] = {{"error", kFailedError},
                                                     {"timeout", kFailedTimeout},
                                                     {"invalid_response", kInvalidHeader},
                                                     {"off", kNextOff}};

Status parse_next_upstream(Context& ctx, const Node& node) {
  return parse_bits(ctx, node, ctx.conf<Redis2Conf>().transfer.next_upstream, kNextNames);
}

Status parse_redis2_bind(Context& ctx, const Node& node) {
  return parse_bind(ctx, node, ctx.conf<Redis2Conf>().transfer.bind);
}

template <auto Member>
constexpr auto transfer = set_transfer<&Redis2Conf::transfer, Member>;

constexpr conf::Directive row(std::string_view name, conf::Arity args, Status (*parse)(Context&, const Node&),
                              conf::Scope where = kHttpServerLocation) {
  return {.name = name, .where = where, .args = args, .parse = parse};
}

constexpr conf::Directive kDirectives[] = {
    row("redis2_pass", conf::exactly(1), parse_redis2_pass, conf::kLocationOrIf),
    row("redis2_query", conf::at_least(1), parse_query, conf::kLocationOrIf),
    row("redis2_raw_query", conf::exactly(1), parse_raw_query, conf::kLocationOrIf),
    row("redis2_raw_queries", conf::exactly(2), parse_raw_queries, conf::kLocationOrIf),
    row("redis2_literal_raw_query", conf::exactly(1), parse_literal, conf::kLocationOrIf),
    row("redis2_bind", conf::between(1, 2), parse_redis2_bind),
    row("redis2_connect_timeout", conf::exactly(1), transfer<&TransferConf::connect_timeout>),
    row("redis2_send_timeout", conf::exactly(1), transfer<&TransferConf::send_timeout>),
    row("redis2_read_timeout", conf::exactly(1), transfer<&TransferConf::read_timeout>),
    row("redis2_buffer_size", conf::exactly(1), transfer<&TransferConf::buffer_size>),
    row("redis2_next_upstream", conf::at_least(1), parse_next_upstream),
};
constexpr conf::ConfType kConfs[] = {conf::conf_type<Redis2Conf>()};

}  // namespace

const conf::Module kRedis2Module = {.name = "http_redis2", .directives = kDirectives, .confs = kConfs};

}  // namespace mp::upstream
