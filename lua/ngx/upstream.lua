-- ngx.upstream: upstreams, their servers and peers, and taking peers out of service.
local base = require "moonphase.core.base"
local native = require("moonphase.native").upstream
local ffi = require "ffi"

local C = base.C
local buffer = base.buffer
local error = error
local ffi_string = base.ffi_string
local min = math.min
local select = select
local str_out = base.str_out
local tonumber = tonumber
local tostring = tostring
local type = type

ffi.cdef [[
typedef struct {
    char name[113];
    int name_size, weight, current_weight, effective_weight;
    unsigned conns, fails, max_fails;
    int down;
    double fail_timeout, accessed, checked;
} mp_upstream_peer;
typedef struct {
    mp_str name;
    int addresses, weight;
    unsigned max_fails;
    int backup, down;
    double fail_timeout;
} mp_upstream_server;
int mp_upstream_count(const void *main);
const void *mp_upstream_at(const void *main, int index);
const void *mp_upstream_find(const void *main, const char *text, size_t size);
int mp_upstream_name(const void *upstream, mp_str *out);
int mp_upstream_current(const void **out);
int mp_upstream_servers(const void *upstream);
void mp_upstream_server_at(const void *upstream, int index, mp_upstream_server *out);
size_t mp_upstream_address(const void *upstream, int server, int index, char *out);
int mp_upstream_peers(const void *upstream, int backup, mp_upstream_peer *out, int most);
const char *mp_upstream_set_down(const void *upstream, int backup, int id, int down);
]]

local server_out = ffi.new("mp_upstream_server[1]")
local upstream_out = ffi.new("const void *[1]")
local peers_type = ffi.typeof("mp_upstream_peer[?]")

local main = native.main()

local upstream = { _VERSION = base.version }

local function check_count(wanted, count)
    if count ~= wanted then
        error(wanted == 0 and "no argument expected" or wanted == 1 and "exactly one argument expected"
            or "exactly " .. wanted .. " arguments expected", 3)
    end
end

local function find(name)
    if type(name) ~= "string" then
        name = tostring(name)
    end
    local found = C.mp_upstream_find(main, name, #name)
    return found ~= nil and found or nil
end

local function name_of(which)
    local port = C.mp_upstream_name(which, str_out)
    local name = ffi_string(str_out[0].data, str_out[0].size)
    return port ~= 0 and name .. ":" .. port or name
end

function upstream.get_upstreams(...)
    check_count(0, select("#", ...))
    local names = {}
    for i = 1, C.mp_upstream_count(main) do
        names[i] = name_of(C.mp_upstream_at(main, i - 1))
    end
    return names
end

local function addresses_of(which, server, count)
    local out = buffer(256)
    local list = {}
    for i = 1, count do
        list[i] = ffi_string(out, C.mp_upstream_address(which, server, i - 1, out))
    end
    return count == 1 and list[1] or list
end

function upstream.get_servers(...)
    check_count(1, select("#", ...))
    local which = find((...))
    if not which then
        return nil, "upstream not found"
    end
    local list = {}
    for i = 1, C.mp_upstream_servers(which) do
        C.mp_upstream_server_at(which, i - 1, server_out)
        local server = server_out[0]
        list[i] = {
            name = ffi_string(server.name.data, server.name.size),
            addr = addresses_of(which, i - 1, server.addresses),
            weight = server.weight,
            max_fails = server.max_fails,
            fail_timeout = server.fail_timeout,
            backup = server.backup ~= 0 or nil,
            down = server.down ~= 0 or nil,
        }
    end
    return list
end

local function peers_of(name, backup)
    local which = find(name)
    if not which then
        return nil, "upstream not found"
    end
    local count = C.mp_upstream_peers(which, backup, nil, 0)
    if count < 0 then
        return nil, "no peer data"
    end
    local peers = ffi.new(peers_type, count)
    -- They may have become fewer; more are left out.
    count = min(count, C.mp_upstream_peers(which, backup, peers, count))
    local list = base.new_table(count, 0)
    for i = 1, count do
        local peer = peers[i - 1]
        list[i] = {
            id = i - 1,
            name = ffi_string(peer.name, peer.name_size),
            weight = peer.weight,
            current_weight = peer.current_weight,
            effective_weight = peer.effective_weight,
            conns = peer.conns,
            fails = peer.fails,
            max_fails = peer.max_fails,
            fail_timeout = peer.fail_timeout,
            accessed = peer.accessed ~= 0 and peer.accessed or nil,
            checked = peer.checked ~= 0 and peer.checked or nil,
            down = peer.down ~= 0 or nil,
        }
    end
    return list
end

function upstream.get_primary_peers(...)
    check_count(1, select("#", ...))
    return peers_of((...), 0)
end

function upstream.get_backup_peers(...)
    check_count(1, select("#", ...))
    return peers_of((...), 1)
end

-- set_peer_down(name, is_backup, id, down): in this worker, or in all of them when the upstream has a zone.
function upstream.set_peer_down(...)
    check_count(4, select("#", ...))
    local name, is_backup, id, down = ...
    local which = find(name)
    if not which then
        return nil, "upstream not found"
    end
    id = tonumber(id)
    if not id then
        error("bad argument #3 to 'set_peer_down' (number expected, got " .. type((select(3, ...))) .. ")", 2)
    end
    local why = C.mp_upstream_set_down(which, is_backup and 1 or 0, id, down and 1 or 0)
    if why ~= nil then
        return nil, ffi_string(why)
    end
    return true
end

function upstream.current_upstream_name()
    local rc = C.mp_upstream_current(upstream_out)
    if rc < 0 then
        error("no request object found", 2)
    end
    return rc == 1 and name_of(upstream_out[0]) or nil
end

return upstream
