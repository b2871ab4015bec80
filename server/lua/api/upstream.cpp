// ngx.upstream: the upstreams of the configuration, their servers and peers. Tables are made in Lua, so that
// no Lua code runs while a group is locked.
#include "upstream/upstream.hpp"

#include <algorithm>
#include <cstring>

#include "base/clock.hpp"
#include "base/numbers.hpp"
#include "conf/configuration.hpp"
#include "http/request.hpp"
#include "lua/api.hpp"
#include "upstream/history.hpp"

using mp::lua::Str;
using mp::upstream::Peer;
using mp::upstream::PeerGroup;
using mp::upstream::PeerList;
using mp::upstream::ServerLine;
using mp::upstream::Upstream;
using mp::upstream::UpstreamMain;

extern "C" {

// The same in lua/ngx/upstream.lua.
struct mp_upstream_peer {
  char name[mp::net::Address::kMaxText];
  int name_size;
  int weight;
  int current_weight;
  int effective_weight;
  unsigned conns;
  unsigned fails;
  unsigned max_fails;
  int down;
  double fail_timeout;
  double accessed;  // Unix time; 0: never
  double checked;
};

struct mp_upstream_server {
  Str name;
  int addresses;
  int weight;
  unsigned max_fails;
  int backup;
  int down;
  double fail_timeout;
};
}

namespace mp::lua {
namespace {

// main(): all upstreams of the configuration that this VM belongs to.
int all_upstreams(lua_State* L) {
  conf::ConfSet* set = Vm::of(L).configuration()->root()[conf::Level::main];
  if (set == nullptr) return 0;
  lua_pushlightuserdata(L, &set->get<UpstreamMain>());
  return 1;
}

constexpr luaL_Reg kFunctions[] = {{"main", all_upstreams}};

const Upstream* with_port(const UpstreamMain& main, std::string_view name) {
  const std::size_t colon = name.find(':');
  if (colon == std::string_view::npos) return nullptr;
  const auto port = parse_natural<int>(name.substr(colon + 1));
  if (!port || *port == 0) return nullptr;
  for (const Upstream* upstream : main.all) {
    if (upstream->port == *port && upstream->host == name.substr(0, colon)) return upstream;
  }
  return nullptr;
}

static_assert(net::Address::kMaxText == 113);  // as lua/ngx/upstream.lua says

// Null: there is no such list.
PeerList* list_of(const Upstream& upstream, int backup) {
  PeerList& list = backup != 0 ? upstream.peers->backup : upstream.peers->primary;
  return backup != 0 && list.first == nullptr ? nullptr : &list;
}

void describe(const Peer& peer, mp_upstream_peer& out, double epoch) {
  out.name_size = peer.name_size;
  std::memcpy(out.name, peer.name_text, peer.name_size);
  out.weight = peer.weight;
  out.current_weight = peer.current_weight;
  out.effective_weight = peer.effective_weight;
  out.conns = peer.conns;
  out.fails = peer.fails;
  out.max_fails = peer.max_fails;
  out.down = peer.state == Peer::State::down ? 1 : 0;
  out.fail_timeout = static_cast<double>(peer.fail_timeout);
  out.accessed = peer.accessed == 0 ? 0 : epoch + static_cast<double>(peer.accessed);
  out.checked = peer.checked == 0 ? 0 : epoch + static_cast<double>(peer.checked);
}

}  // namespace

extern const Group kUpstreamGroup = {"upstream", kFunctions};

}  // namespace mp::lua

extern "C" {

using mp::lua::str;
using mp::lua::view;

int mp_upstream_count(const UpstreamMain* main) {
  return static_cast<int>(main->all.size());
}

const Upstream* mp_upstream_at(const UpstreamMain* main, int index) {
  return main->all[static_cast<std::size_t>(index)];
}

// By the name of its block, or host:port; null when there is none.
const Upstream* mp_upstream_find(const UpstreamMain* main, const char* text, std::size_t size) {
  const std::string_view name = view(text, size);
  for (const Upstream* upstream : main->all) {
    if (upstream->host == name) return upstream;
  }
  return mp::lua::with_port(*main, name);
}

// The name; the result is the port, 0 when none was written.
int mp_upstream_name(const Upstream* upstream, Str* out) {
  *out = str(upstream->host);
  return upstream->port;
}

// That of the running request: -1 without a request, 0 when it is not passed on.
int mp_upstream_current(const Upstream** out) {
  mp::lua::Request* r = mp::lua::request();
  if (r == nullptr) return -1;
  const auto* history = r->find_ctx<mp::upstream::History>();
  *out = history != nullptr ? history->upstream : nullptr;
  return *out != nullptr ? 1 : 0;
}

int mp_upstream_servers(const Upstream* upstream) {
  return static_cast<int>(upstream->servers.size());
}

void mp_upstream_server_at(const Upstream* upstream, int index, mp_upstream_server* out) {
  const ServerLine& line = upstream->servers[static_cast<std::size_t>(index)];
  *out = {str(line.name),
          static_cast<int>(line.addresses.size()),
          line.weight,
          line.max_fails,
          line.backup ? 1 : 0,
          line.state == Peer::State::down ? 1 : 0,
          static_cast<double>(line.fail_timeout)};
}

// One address of a server as text; `out` has room for 64 bytes and more. Its size.
std::size_t mp_upstream_address(const Upstream* upstream, int server, int index, char* out) {
  const ServerLine& line = upstream->servers[static_cast<std::size_t>(server)];
  const std::string text = line.addresses[static_cast<std::size_t>(index)].text_with_port();
  return text.copy(out, text.size());
}

// Describes at most `most` peers. How many there are; -1 when nothing is known of peers.
int mp_upstream_peers(const Upstream* upstream, int backup, mp_upstream_peer* out, int most) {
  if (upstream->peers == nullptr) return -1;
  const double epoch = static_cast<double>(mp::clock().seconds() - mp::upstream::now_seconds());
  const PeerGroup::Guard guard(*upstream->peers);
  const PeerList* list = mp::lua::list_of(*upstream, backup);
  int count = 0;
  for (const Peer* peer = list != nullptr ? list->first : nullptr; peer != nullptr; peer = peer->next) {
    if (count < most) mp::lua::describe(*peer, out[count], epoch);
    ++count;
  }
  return count;
}

// Null, or why not.
const char* mp_upstream_set_down(const Upstream* upstream, int backup, int id, int down) {
  if (upstream->peers == nullptr) return "no peer data";
  const PeerGroup::Guard guard(*upstream->peers);
  PeerList* list = mp::lua::list_of(*upstream, backup);
  if (list == nullptr) return "no backup peers";
  Peer* peer = id >= 0 ? list->first : nullptr;
  for (int i = 0; peer != nullptr && i < id; ++i) peer = peer->next;
  if (peer == nullptr) return "bad peer id";
  peer->state = down != 0 ? Peer::State::down : Peer::State::up;
  if (down == 0) peer->fails = 0;
  return nullptr;
}
}
