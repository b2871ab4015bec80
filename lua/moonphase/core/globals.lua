-- Global variables. Assigning a new one is a mistake in nearly every case, so it is told, once per place. Handlers run in an
-- environment of their own that reads through to _G, and what they assign is kept for their request alone; modules assign to
-- _G. `ngx` lies in both, as handlers ask for nothing else so often: the one _G had when the last of them was loaded, until a
-- handler assigns another, which modules do not see. With `lua_isolate_globals off` handlers share _G too, as scripts that were written for OpenResty may expect.
local base = require "moonphase.core.base"
local native = require("moonphase.native").ctx

local C = base.C
local rawget = rawget
local rawset = rawset
local tostring = tostring
local traceback = debug.traceback
local getinfo = debug.getinfo
local tables = native.request_tables()
local log = ngx.log
local WARN = ngx.WARN

local warned = {}

local function warn(name)
    local place = getinfo(3, "Sl")
    local key = place and (place.short_src .. ":" .. place.currentline) or "?"
    if warned[key] then
        return
    end
    warned[key] = true
    log(WARN, "writing a global Lua variable ('", tostring(name),
        "') which may lead to race conditions between concurrent requests, so prefer the use of 'local' variables",
        traceback("", 3))
end

-- In init and init_worker globals are meant to be set.
local function is_setup()
    local phase = C.mp_ctx_phase()
    return phase == 0 or phase == 0x100
end

local environment = setmetatable({}, {
    __index = _G,
    __newindex = function(_, name, value)
        -- A global of the process that is there already is changed for everyone.
        if rawget(_G, name) ~= nil or is_setup() then
            rawset(_G, name, value)
            return
        end
        local place = C.mp_ctx_globals_place()
        local own = tables[place]
        if own == nil then
            own = {}
            tables[place] = own
        end
        if own[name] == nil then
            warn(name)
        end
        own[name] = value
    end,
})

setmetatable(_G, {
    -- A name that is nobody's: perhaps this request has set it.
    __index = function(_, name)
        local own = tables[C.mp_ctx_globals_place_used()]
        return own and own[name]
    end,
    __newindex = function(globals, name, value)
        rawset(globals, name, value)
        if not is_setup() then
            warn(name)
        end
    end,
})

return environment
