#include "upstream/transfer_conf.hpp"

#include <algorithm>
#include <string>

#include "base/numbers.hpp"
#include "conf/configuration.hpp"
#include "conf/process_conf.hpp"
#include "http/used_paths.hpp"
#include "net/address.hpp"

namespace mp::upstream {
namespace {

constexpr std::size_t kPage = 4096;

std::string quoted(std::string_view prefix, std::string_view rest) {
  return "\"" + std::string(prefix) + std::string(rest) + "\"";
}

}  // namespace

Status TransferConf::merge(conf::Context& ctx, const TransferConf& parent, std::string_view prefix,
                           std::span<const std::string_view> hidden_names, std::string_view temp_folder) {
  buffering.inherit(parent.buffering, true);
  request_buffering.inherit(parent.request_buffering, true);
  ignore_client_abort.inherit(parent.ignore_client_abort, false);
  force_ranges.inherit(parent.force_ranges, false);
  intercept_errors.inherit(parent.intercept_errors, false);
  pass_request_headers.inherit(parent.pass_request_headers, true);
  pass_request_body.inherit(parent.pass_request_body, true);
  pass_trailers.inherit(parent.pass_trailers, false);
  bind.inherit(parent.bind);
  socket_keepalive.inherit(parent.socket_keepalive, false);
  socket_rcvbuf.inherit(parent.socket_rcvbuf, 0);
  socket_sndbuf.inherit(parent.socket_sndbuf, 0);
  send_lowat.inherit(parent.send_lowat, 0);
  connect_timeout.inherit(parent.connect_timeout, 60000);
  send_timeout.inherit(parent.send_timeout, 60000);
  read_timeout.inherit(parent.read_timeout, 60000);
  next_upstream.inherit(parent.next_upstream, kFailedError | kFailedTimeout);
  if ((next_upstream & kNextOff) != 0) next_upstream.set(kNextOff);
  next_upstream_tries.inherit(parent.next_upstream_tries, 0);
  next_upstream_timeout.inherit(parent.next_upstream_timeout, 0);
  limit_rate.inherit(parent.limit_rate);
  ignore_headers.inherit(parent.ignore_headers, 0);
  store_access.inherit(parent.store_access, 0600);
  headers_hash_max_size.inherit(parent.headers_hash_max_size, 512);
  headers_hash_bucket_size.inherit(parent.headers_hash_bucket_size, 64);
  conf::LevelledPath folder;
  if (!temp_path.is_set() && !parent.temp_path.is_set()) {
    folder = {ctx.full_path(temp_folder), {1, 2, 0}};
    TRY(http::use_temp_path(ctx, folder, nullptr));
  }
  temp_path.inherit(parent.temp_path, folder);
  auto& folders = ctx.configuration().root().get<conf::ProcessWide>().folders;
  const std::string_view path = temp_path.get().path;
  if (std::find(folders.begin(), folders.end(), path) == folders.end()) folders.emplace_back(path);
  merge_hidden(parent, hidden_names);
  if (store.is_set() && store->on && cache.choice.is_set() && cache.choice->is_on()) {
    return ctx.error(quoted(prefix, "_cache") + " is incompatible with " + quoted(prefix, "_store"));
  }
  // The nearer of the two holds.
  if (store->on && !cache.choice.is_set()) cache.choice.set({});
  if (cache.choice->is_on() && !store.is_set()) store.set({});
  store.inherit(parent.store);
  TRY(cache.merge(ctx, parent.cache, prefix));
  return check_sizes(ctx, parent, prefix);
}

Status TransferConf::check_sizes(conf::Context& ctx, const TransferConf& parent, std::string_view prefix) {
  buffer_size.inherit(parent.buffer_size, kPage);
  buffers.inherit(parent.buffers, {8, kPage});
  if (buffers->count < 2) return ctx.error("there must be at least 2 " + quoted(prefix, "_buffers"));

  const std::size_t largest = std::max<std::size_t>(buffer_size, buffers->size);
  const std::string at_least_one = " must be equal to or greater than the maximum of the value of " +
                                   quoted(prefix, "_buffer_size") + " and one of the " +
                                   quoted(prefix, "_buffers");
  busy_buffers_size.inherit(parent.busy_buffers_size, 2 * largest);
  if (busy_buffers_size < largest) return ctx.error(quoted(prefix, "_busy_buffers_size") + at_least_one);
  if (busy_buffers_size > (buffers->count - 1) * buffers->size) {
    return ctx.error(quoted(prefix, "_busy_buffers_size") + " must be less than the size of all " +
                     quoted(prefix, "_buffers") + " minus one buffer");
  }
  temp_file_write_size.inherit(parent.temp_file_write_size, 2 * largest);
  if (temp_file_write_size < largest)
    return ctx.error(quoted(prefix, "_temp_file_write_size") + at_least_one);
  max_temp_file_size.inherit(parent.max_temp_file_size, std::size_t{1024} * 1024 * 1024);
  if (max_temp_file_size != 0 && max_temp_file_size < largest) {
    return ctx.error(quoted(prefix, "_max_temp_file_size") +
                     " must be equal to zero to disable temporary files usage or" +
                     at_least_one.substr(std::string_view(" must").size()));
  }
  return {};
}

void TransferConf::merge_hidden(const TransferConf& parent, std::span<const std::string_view> hidden_names) {
  const bool own = pass_header_set || hide_header_set;
  if (!pass_header_set) {
    pass_header_list = parent.pass_header_list;
    pass_header_set = parent.pass_header_set;
  }
  if (!hide_header_set) {
    hide_header_list = parent.hide_header_list;
    hide_header_set = parent.hide_header_set;
  }
  if (!own && parent.hidden != nullptr) {
    hidden = parent.hidden;
    return;
  }
  auto set = std::make_shared<NameSet>();
  for (std::string_view name : hidden_names) set->add(name);
  for (std::string_view name : hide_header_list) set->add(name);
  for (std::string_view name : pass_header_list) set->remove(name);
  hidden = std::move(set);
}

Status parse_bits(conf::Context& ctx, const conf::Node& node, Setting<std::uint64_t>& setting,
                  std::span<const conf::Named<std::uint32_t>> names) {
  std::uint64_t bits = setting.is_set() ? setting.get() : 0;
  for (const conf::Arg& arg : node.args) {
    const auto found = std::find_if(names.begin(), names.end(),
                                    [&arg](const auto& row) { return equals_nocase(row.name, arg.text); });
    if (found == names.end()) return ctx.error(arg, "invalid value \"" + std::string(arg.text) + "\"");
    TRY(conf::detail::add_bit(ctx, arg, found->value, bits));
  }
  setting.set(bits);
  return {};
}

Status parse_bind(conf::Context& ctx, const conf::Node& node, Setting<BindTo>& setting) {
  if (setting.is_set()) return conf::duplicate();
  const std::string_view text = node.args[0].text;
  if (node.args.size() == 1 && text == "off") {
    setting.set({});
    return {};
  }
  BindTo bind;
  auto address = http::Template::compile(ctx, text);
  if (!address) return ctx.error(node.args[0], address.error().text);
  if (address->constant() && !net::parse_ip_port(text)) {
    return ctx.error(node.args[0], "invalid address \"" + std::string(text) + "\"");
  }
  bind.address = std::move(*address);
  if (node.args.size() == 2) {
    if (node.args[1].text != "transparent") {
      return ctx.error(node.args[1], "invalid parameter \"" + std::string(node.args[1].text) + "\"");
    }
    bind.transparent = true;
  }
  setting.set(std::move(bind));
  return {};
}

Status parse_store(conf::Context& ctx, const conf::Node& node, Setting<Store>& setting) {
  if (setting.is_set()) return conf::duplicate();
  const std::string_view text = node.args[0].text;
  Store store;
  if (text == "off") {
    setting.set(std::move(store));
    return {};
  }
  if (text.empty()) return ctx.error(node.args[0], "empty path");
  store.on = true;
  if (text != "on") {
    auto path = http::Template::compile(ctx, text);
    if (!path) return ctx.error(node.args[0], path.error().text);
    store.path = std::move(*path);
  }
  setting.set(std::move(store));
  return {};
}

Status parse_temp_path(conf::Context& ctx, const conf::Node& node, Setting<conf::LevelledPath>& setting) {
  TRY(conf::detail::set_value(ctx, node, setting));
  return http::use_temp_path(ctx, setting.get(), &node);
}

Status parse_limit_rate(conf::Context& ctx, const conf::Node& node, Setting<http::Template>& setting) {
  TRY(conf::detail::set_value(ctx, node, setting));
  if (setting->constant() && !parse_size(node.args[0].text)) return fail("invalid value");
  return {};
}

}  // namespace mp::upstream
