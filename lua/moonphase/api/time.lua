-- ngx.now(), ngx.time(), ngx.today() and the other times and dates; ngx.sleep().
local base = require "moonphase.core.base"
local native = require("moonphase.native").time

local ffi = require "ffi"
local C = base.C
local ffi_string = base.ffi_string
local buffer = base.buffer
local int64_out = base.int64_out
local tonumber = tonumber
local type = type
local error = error

ffi.cdef [[
double mp_time_now(void);
int64_t mp_time_seconds(void);
int64_t mp_time_monotonic_msec(void);
void mp_time_update(void);
size_t mp_time_today(char *out);
size_t mp_time_local(char *out);
size_t mp_time_utc(char *out);
size_t mp_time_http(char *out, double seconds);
size_t mp_time_cookie(char *out, double seconds);
int mp_time_parse(const char *text, size_t size, int64_t *seconds);
]]

ngx.sleep = native.sleep

function ngx.now()
    local result = C.mp_time_now()
    return result
end

function ngx.time()
    return (tonumber(C.mp_time_seconds()))
end

function ngx.update_time()
    C.mp_time_update()
end

function ngx.today()
    local out = buffer(32)
    return (ffi_string(out, C.mp_time_today(out)))
end

function ngx.localtime()
    local out = buffer(32)
    return (ffi_string(out, C.mp_time_local(out)))
end

function ngx.utctime()
    local out = buffer(32)
    return (ffi_string(out, C.mp_time_utc(out)))
end

function ngx.http_time(seconds)
    if type(seconds) ~= "number" then
        error("number argument only", 2)
    end
    local out = buffer(32)
    return (ffi_string(out, C.mp_time_http(out, seconds)))
end

function ngx.cookie_time(seconds)
    if type(seconds) ~= "number" then
        error("number argument only", 2)
    end
    local out = buffer(32)
    return (ffi_string(out, C.mp_time_cookie(out, seconds)))
end

function ngx.parse_http_time(text)
    if type(text) ~= "string" then
        error("string argument only", 2)
    end
    if C.mp_time_parse(text, #text, int64_out) ~= 0 then
        return nil
    end
    return tonumber(int64_out[0])
end
