-- The times that nothing sets back, which ngx has not.
local base = require "moonphase.core.base"
local C = base.C
local tonumber = tonumber

return {
    version = base.version,
    monotonic_msec = function()
        return (tonumber(C.mp_time_monotonic_msec()))
    end,
    monotonic_time = function()
        return tonumber(C.mp_time_monotonic_msec()) / 1000
    end,
}
