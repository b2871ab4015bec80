-- ngx.errlog: the error log as scripts see it. Lines are kept for them when lua_capture_error_log says how many bytes.
local base = require "moonphase.core.base"
local native = require("moonphase.native").errlog

local ffi = require "ffi"
local C = base.C
local error = error
local type = type

ffi.cdef [[
int mp_errlog_raw(int level, const char *text, size_t size);
]]

local errlog = { version = base.version, get_sys_filter_level = native.sys_level }

function errlog.set_filter_level(level)
    if not level then
        return nil, [[missing "level" argument]]
    end
    return native.set_level(level)
end

-- At most `max` lines, oldest first, three elements each: level, time, text. They are gone from the store then.
function errlog.get_logs(max, logs)
    max = max or 10
    logs = logs or base.new_table(max * 3 + 1, 0)
    local count = 0
    for _ = 1, max do
        local level, time, text = native.take()
        if not level then
            if time then
                return nil, time
            end
            break
        end
        logs[count + 1], logs[count + 2], logs[count + 3] = level, time, text
        count = count + 3
    end
    logs[count + 1] = nil
    return logs
end

function errlog.raw_log(level, text)
    if type(level) ~= "number" then
        error("bad argument #1 to 'raw_log' (must be a number)", 2)
    end
    if type(text) ~= "string" then
        error("bad argument #2 to 'raw_log' (must be a string)", 2)
    end
    if C.mp_errlog_raw(level, text, #text) ~= 0 then
        error("bad log level", 2)
    end
end

return errlog
