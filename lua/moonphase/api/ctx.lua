-- ngx.ctx, ngx.status, ngx.headers_sent, ngx.is_subrequest: fields of ngx that are computed. And ngx.get_phase().
local base = require "moonphase.core.base"
local native = require("moonphase.native").ctx
local ffi = require "ffi"

local C = base.C
local new_table = base.new_table
local clone_table = require "table.clone"
local next = next
local rawset = rawset
local type = type
local error = error
local tonumber = tonumber
local setmetatable = setmetatable

ffi.cdef [[
int mp_ctx_place(void);
int mp_ctx_globals_place(void);
int mp_ctx_globals_place_used(void);
const int *mp_ctx_handshakes(void);
int mp_ctx_handshake_place(void);
int mp_ctx_phase(void);
int mp_ctx_has_request(void);
int mp_ctx_is_subrequest(void);
int mp_ctx_is_internal(void);
int mp_ctx_bypass_conditions(void);
int mp_ctx_headers_sent(void);
int mp_ctx_status(void);
int mp_ctx_set_status(int status, const char *reason, size_t size);
]]

local tables = native.request_tables()
local refuse = base.refuse
-- Functions in locals that never change are constants for the compiler; C is looked at every time.
local mp_ctx_place = C.mp_ctx_place
local mp_ctx_status = C.mp_ctx_status
local handshakes = C.mp_ctx_handshakes()

local getters = base.new_table(0, 8)
local setters = base.new_table(0, 4)

-- A new ngx.ctx is the copy of a table that has the names which the first ones were given, without values: they are set
-- in their places, and no table grows key by key.
local MOST_NAMES = 8
local template = new_table(0, 4)
local names, count = {}, 0
local newest = setmetatable({}, { __mode = "v" })
local to_look_at = 32

local function learn(ctx)
    to_look_at = to_look_at - 1
    local known = count
    for name in next, newest[1] or names do
        if type(name) == "string" and not names[name] and count < MOST_NAMES then
            names[name] = true
            count = count + 1
        end
    end
    newest[1] = ctx
    if count == known then
        return
    end
    template = new_table(0, count)
    for name in next, names do
        template[name] = true
    end
    for name in next, names do
        template[name] = nil
    end
end

-- What the scripts of the connection's TLS handshake have left can be read in its requests.
local function inherit(ctx, place)
    local handshake = C.mp_ctx_handshake_place()
    local outer = handshake ~= 0 and handshake ~= place and tables[handshake]
    if outer then
        setmetatable(ctx, { __index = outer })
    end
end

-- The first use of ngx.ctx in a request.
local function make_ctx(place)
    if place == 0 then
        error("no request found", 2)
    end
    local ctx = clone_table(template)
    tables[place] = ctx
    if to_look_at > 0 then
        learn(ctx)
    end
    if handshakes[0] ~= 0 then
        inherit(ctx, place)
    end
    return ctx
end

local function get_ctx()
    local place = mp_ctx_place()
    local ctx = tables[place]
    if ctx then
        return ctx
    end
    return make_ctx(place)
end
getters.ctx = get_ctx

function setters.ctx(ctx)
    if type(ctx) ~= "table" then
        error("ctx should be a table while getting a " .. type(ctx), 2)
    end
    local place = mp_ctx_place()
    if place == 0 then
        error("no request found", 2)
    end
    tables[place] = ctx
end

local function get_status()
    local status = mp_ctx_status()
    if status < 0 then
        return refuse(status, 3)
    end
    return status
end
getters.status = get_status

local function set_status(status, reason)
    if type(status) ~= "number" then
        status = tonumber(status)
    end
    local rc = C.mp_ctx_set_status(status, reason, reason and #reason or 0)
    if rc <= -100 then
        return refuse(rc, 3)
    end
end

function setters.status(status)
    return set_status(status)
end

base.set_status = set_status

function base.bypass_if_checks()
    local rc = C.mp_ctx_bypass_conditions()
    if rc < 0 then
        return refuse(rc, 2)
    end
end

function getters.headers_sent()
    local rc = C.mp_ctx_headers_sent()
    if rc < 0 then
        return refuse(rc, 3)
    end
    return rc == 1
end

function getters.is_subrequest()
    local rc = C.mp_ctx_is_subrequest()
    if rc < 0 then
        return refuse(rc, 3)
    end
    return rc == 1
end

local function get(_, key)
    local getter = getters[key]
    if getter then
        return getter()
    end
    return nil
end

local meta = {
    -- The two that scripts ask for all the time cost the compiler no search.
    __index = function(_, key)
        if key == "ctx" then
            return get_ctx()
        end
        if key == "status" then
            return get_status()
        end
        return get(_, key)
    end,
    __newindex = function(ngx_table, key, value)
        local set = setters[key]
        if set then
            return set(value)
        end
        return rawset(ngx_table, key, value)
    end,
}
setmetatable(ngx, meta)

-- For modules that compute further fields of ngx.
function base.register_getter(key, getter)
    getters[key] = getter
    meta.__index = get
end

function base.register_setter(key, setter)
    setters[key] = setter
end

function base.has_request()
    return C.mp_ctx_has_request() == 1
end

local phases = {
    [0] = "init", [0x1] = "set", [0x2] = "rewrite", [0x4] = "access", [0x8] = "content", [0x10] = "log",
    [0x20] = "header_filter", [0x40] = "body_filter", [0x80] = "timer", [0x100] = "init_worker",
    [0x200] = "balancer", [0x400] = "ssl_cert", [0x800] = "ssl_session_store",
    [0x1000] = "ssl_session_fetch", [0x2000] = "exit_worker", [0x4000] = "ssl_client_hello",
    [0x8000] = "server_rewrite", [0x10000] = "proxy_ssl_verify", [0x20000] = "precontent",
    [0x40000] = "proxy_ssl_cert",
}

function ngx.get_phase()
    return phases[C.mp_ctx_phase()]
end

function ngx.get_raw_phase()
    local result = C.mp_ctx_phase()
    return result
end

ngx._phase_ctx = native.raw_phase
