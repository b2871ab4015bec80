-- Finalizers run wherever the collector happens to work: in the middle of any request. So an error in one is told here and
-- goes no further; LuaJIT would raise it in the code that was interrupted. That they may not wait is the business of the
-- functions that wait, which ask native.gc about it.
local ffi = require "ffi"
local native = require("moonphase.native").gc

local ERR = ngx.ERR
local log = ngx.log
local collect = collectgarbage
local ffi_gc = ffi.gc
local metatype = ffi.metatype
local proxy = newproxy
local rawset = rawset
local setmetatable = setmetatable
local getmetatable = getmetatable
local traceback = debug.traceback
local type = type
local xpcall = xpcall

local function trace(err)
    return traceback("error in a __gc finalizer: " .. tostring(err), 2)
end

local guards = setmetatable({}, { __mode = "k" })

-- The finalizer to run in place of `finalizer`; C functions need no guard.
local function guarded(finalizer)
    if type(finalizer) ~= "function" then
        return finalizer
    end
    local guard = guards[finalizer]
    if not guard then
        guard = function(object)
            local ok, err = xpcall(finalizer, trace, object)
            if not ok then
                log(ERR, err)
            end
        end
        guards[finalizer] = guard
        guards[guard] = guard
    end
    return guard
end

function ffi.gc(object, finalizer)
    return ffi_gc(object, guarded(finalizer))
end

function ffi.metatype(ctype, metatable)
    if type(metatable) == "table" and metatable.__gc then
        metatable.__gc = guarded(metatable.__gc)
    end
    return metatype(ctype, metatable)
end

local watch = {
    __newindex = function(metatable, key, value)
        if key == "__gc" then
            value = guarded(value)
        end
        rawset(metatable, key, value)
    end,
}

function newproxy(like)
    local object = proxy(like)
    if like == true then
        setmetatable(getmetatable(object), watch)
    end
    return object
end

-- While a script has stopped the collector it looks as if a finalizer ran: told apart by this. A collection by hand lets it
-- go on afterwards.
local changes = { stop = true, restart = false, collect = false, step = false }

function collectgarbage(option, argument)
    option = option or "collect"
    local stopped = changes[option]
    if stopped ~= nil then
        native.stopped(stopped)
    end
    return collect(option, argument or 0)
end
