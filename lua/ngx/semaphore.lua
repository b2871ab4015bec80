-- ngx.semaphore: new(n), sem:wait(seconds), sem:post(n), sem:count().
local base = require "moonphase.core.base"
local native = require("moonphase.native").semaphore

local ffi = require "ffi"
local C = base.C
local error = error
local setmetatable = setmetatable
local tonumber = tonumber
local type = type

ffi.cdef [[
int mp_semaphore_try_take(void *semaphore);
void mp_semaphore_post(void *semaphore, int n);
int mp_semaphore_count(void *semaphore);
]]

local semaphore = { version = "0.1.31" }
local mt = { __index = semaphore }

local function check(self)
    if type(self) ~= "table" or type(self.sem) ~= "userdata" then
        error("not a semaphore instance", 3)
    end
    return self.sem
end

function semaphore.new(n)
    n = tonumber(n) or 0
    if n < 0 then
        error("no negative number", 2)
    end
    return setmetatable({ sem = native.new(n) }, mt)
end

function semaphore.wait(self, seconds)
    local sem = check(self)
    local milliseconds = tonumber(seconds) * 1000
    if milliseconds < 0 then
        error("no negative number", 2)
    end
    if C.mp_semaphore_try_take(sem) == 1 then
        return true
    end
    -- No tail call: this frame keeps `sem` from the collector.
    local ok, err = native.wait(sem, milliseconds)
    return ok, err
end

function semaphore.post(self, n)
    local sem = check(self)
    n = n and tonumber(n) or 1
    if n < 1 then
        error("positive number required", 2)
    end
    C.mp_semaphore_post(sem, n)
    return true
end

function semaphore.count(self)
    return C.mp_semaphore_count(check(self))
end

return semaphore
