// The rows of the directives that every module which passes requests on has under its own prefix, made when
// the server is compiled: kTransferRows<"fastcgi", &FastcgiConf::transfer>.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "conf/directive.hpp"
#include "conf/setters.hpp"
#include "upstream/transfer_conf.hpp"

namespace mp::upstream {

template <std::size_t N>
struct FixedText {
  char text[N];
  constexpr FixedText(const char (&from)[N]) {
    for (std::size_t i = 0; i < N; ++i) text[i] = from[i];
  }
  static constexpr std::size_t kSize = N - 1;
};

namespace detail {

template <FixedText A, FixedText B>
struct Joined {
  static constexpr auto make() {
    std::array<char, A.kSize + B.kSize> out{};
    for (std::size_t i = 0; i < A.kSize; ++i) out[i] = A.text[i];
    for (std::size_t i = 0; i < B.kSize; ++i) out[A.kSize + i] = B.text[i];
    return out;
  }
  static constexpr auto kText = make();
  static constexpr std::string_view kView{kText.data(), kText.size()};
};

template <auto Part>
Status next_upstream(conf::Context& ctx, const conf::Node& node) {
  return parse_bits(ctx, node, part_of<Part>(ctx).next_upstream, kNextUpstreamNames);
}
template <auto Part>
Status ignore_headers(conf::Context& ctx, const conf::Node& node) {
  return parse_bits(ctx, node, part_of<Part>(ctx).ignore_headers, kIgnoreHeaderNames);
}
template <auto Part>
Status bind(conf::Context& ctx, const conf::Node& node) {
  return parse_bind(ctx, node, part_of<Part>(ctx).bind);
}
template <auto Part>
Status store(conf::Context& ctx, const conf::Node& node) {
  return parse_store(ctx, node, part_of<Part>(ctx).store);
}
template <auto Part>
Status temp_path(conf::Context& ctx, const conf::Node& node) {
  return parse_temp_path(ctx, node, part_of<Part>(ctx).temp_path);
}
template <auto Part>
Status limit_rate(conf::Context& ctx, const conf::Node& node) {
  return parse_limit_rate(ctx, node, part_of<Part>(ctx).limit_rate);
}
template <auto Part>
Status pass_header(conf::Context& ctx, const conf::Node& node) {
  part_of<Part>(ctx).pass_header_set = true;
  part_of<Part>(ctx).pass_header_list.push(ctx.arena(), node.args[0].text);
  return {};
}
template <auto Part>
Status hide_header(conf::Context& ctx, const conf::Node& node) {
  part_of<Part>(ctx).hide_header_set = true;
  part_of<Part>(ctx).hide_header_list.push(ctx.arena(), node.args[0].text);
  return {};
}

// One row: its name, how many arguments, and the setting or the function that reads it.
template <FixedText Prefix, FixedText Name, auto Part, auto Member>
constexpr conf::Directive setting(conf::Arity args = conf::exactly(1)) {
  return {.name = Joined<Prefix, Name>::kView,
          .where = conf::kHttpServerLocation,
          .args = args,
          .parse = set_transfer<Part, Member>};
}
template <FixedText Prefix, FixedText Name>
constexpr conf::Directive row(conf::Arity args, Status (*parse)(conf::Context&, const conf::Node&)) {
  return {
      .name = Joined<Prefix, Name>::kView, .where = conf::kHttpServerLocation, .args = args, .parse = parse};
}

}  // namespace detail

// What even the simplest has: connections, times, other servers.
template <FixedText P, auto Part>
inline constexpr std::array kConnectionRows = {
    detail::row<P, "_bind">(conf::between(1, 2), detail::bind<Part>),
    detail::setting<P, "_socket_keepalive", Part, &TransferConf::socket_keepalive>(),
    detail::setting<P, "_connect_timeout", Part, &TransferConf::connect_timeout>(),
    detail::setting<P, "_send_timeout", Part, &TransferConf::send_timeout>(),
    detail::setting<P, "_read_timeout", Part, &TransferConf::read_timeout>(),
    detail::setting<P, "_buffer_size", Part, &TransferConf::buffer_size>(),
    detail::row<P, "_next_upstream">(conf::at_least(1), detail::next_upstream<Part>),
    detail::setting<P, "_next_upstream_tries", Part, &TransferConf::next_upstream_tries>(),
    detail::setting<P, "_next_upstream_timeout", Part, &TransferConf::next_upstream_timeout>(),
};

// What those have beside it that pass bodies on in both directions.
template <FixedText P, auto Part>
inline constexpr std::array kBodyRows = {
    detail::setting<P, "_socket_rcvbuf", Part, &TransferConf::socket_rcvbuf>(),
    detail::setting<P, "_socket_sndbuf", Part, &TransferConf::socket_sndbuf>(),
    detail::row<P, "_store">(conf::exactly(1), detail::store<Part>),
    detail::setting<P, "_store_access", Part, &TransferConf::store_access>(conf::between(1, 3)),
    detail::setting<P, "_buffering", Part, &TransferConf::buffering>(),
    detail::setting<P, "_request_buffering", Part, &TransferConf::request_buffering>(),
    detail::setting<P, "_ignore_client_abort", Part, &TransferConf::ignore_client_abort>(),
    detail::setting<P, "_intercept_errors", Part, &TransferConf::intercept_errors>(),
    detail::setting<P, "_pass_request_headers", Part, &TransferConf::pass_request_headers>(),
    detail::setting<P, "_pass_request_body", Part, &TransferConf::pass_request_body>(),
    detail::setting<P, "_buffers", Part, &TransferConf::buffers>(conf::exactly(2)),
    detail::setting<P, "_busy_buffers_size", Part, &TransferConf::busy_buffers_size>(),
    detail::setting<P, "_force_ranges", Part, &TransferConf::force_ranges>(),
    detail::row<P, "_limit_rate">(conf::exactly(1), detail::limit_rate<Part>),
    detail::row<P, "_temp_path">(conf::between(1, 4), detail::temp_path<Part>),
    detail::setting<P, "_max_temp_file_size", Part, &TransferConf::max_temp_file_size>(),
    detail::setting<P, "_temp_file_write_size", Part, &TransferConf::temp_file_write_size>(),
    detail::row<P, "_pass_header">(conf::exactly(1), detail::pass_header<Part>),
    detail::row<P, "_hide_header">(conf::exactly(1), detail::hide_header<Part>),
    detail::row<P, "_ignore_headers">(conf::at_least(1), detail::ignore_headers<Part>),
};

namespace detail {

template <auto Part, auto Member>
Status set_cache(conf::Context& ctx, const conf::Node& node) {
  return conf::detail::set_value(ctx, node, part_of<Part>(ctx).cache.*Member);
}
template <auto Part, auto Member>
Status predicates(conf::Context& ctx, const conf::Node& node) {
  return http::parse_predicates(ctx, node, part_of<Part>(ctx).cache.*Member);
}
template <auto Part, auto Parse>
Status cache_part(conf::Context& ctx, const conf::Node& node) {
  return Parse(ctx, node, part_of<Part>(ctx).cache);
}
template <FixedText Prefix, FixedText Name, auto Part, auto Member>
constexpr conf::Directive cache_setting() {
  return row<Prefix, Name>(conf::exactly(1), set_cache<Part, Member>);
}

}  // namespace detail

// Keeping responses.
template <FixedText P, auto Part>
inline constexpr std::array kCacheRows = {
    conf::Directive{.name = detail::Joined<P, "_cache_path">::kView,
                    .where = conf::Scope::http,
                    .args = conf::at_least(2),
                    .parse = parse_cache_path},
    detail::row<P, "_cache">(conf::exactly(1), detail::cache_part<Part, parse_cache>),
    detail::row<P, "_cache_valid">(conf::at_least(1), detail::cache_part<Part, parse_cache_valid>),
    detail::row<P, "_cache_methods">(conf::at_least(1), detail::cache_part<Part, parse_cache_methods>),
    detail::row<P, "_cache_use_stale">(conf::at_least(1), detail::cache_part<Part, parse_cache_use_stale>),
    detail::row<P, "_cache_bypass">(conf::at_least(1), detail::predicates<Part, &CacheConf::bypass>),
    detail::row<P, "_no_cache">(conf::at_least(1), detail::predicates<Part, &CacheConf::no_cache>),
    detail::cache_setting<P, "_cache_key", Part, &CacheConf::key>(),
    detail::cache_setting<P, "_cache_min_uses", Part, &CacheConf::min_uses>(),
    detail::cache_setting<P, "_cache_max_range_offset", Part, &CacheConf::max_range_offset>(),
    detail::cache_setting<P, "_cache_lock", Part, &CacheConf::lock>(),
    detail::cache_setting<P, "_cache_lock_timeout", Part, &CacheConf::lock_timeout>(),
    detail::cache_setting<P, "_cache_lock_age", Part, &CacheConf::lock_age>(),
    detail::cache_setting<P, "_cache_revalidate", Part, &CacheConf::revalidate>(),
    detail::cache_setting<P, "_cache_background_update", Part, &CacheConf::background_update>(),
};

// Several tables as one.
template <std::size_t... N>
constexpr auto join_rows(const std::array<conf::Directive, N>&... tables) {
  std::array<conf::Directive, (N + ...)> out{};
  std::size_t at = 0;
  const auto add = [&](const auto& table) {
    for (const conf::Directive& row : table) out[at++] = row;
  };
  (add(tables), ...);
  return out;
}

}  // namespace mp::upstream
