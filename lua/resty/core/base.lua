-- The helpers that libraries use of lua-resty-core.
local ffi = require "ffi"
local base = require "moonphase.core.base"
local native = require("moonphase.native").ctx

local error = error
local select = select
local ceil = math.ceil

if not pcall(ffi.typeof, "ngx_str_t") then
    ffi.cdef [[
    typedef struct { size_t len; const unsigned char *data; } ngx_str_t;
    ]]
end
if not pcall(ffi.typeof, "ngx_http_request_t") then
    ffi.cdef [[
    typedef struct ngx_http_request_s ngx_http_request_t;
    ]]
end
if not pcall(ffi.typeof, "ngx_http_lua_ffi_str_t") then
    ffi.cdef [[
    typedef struct { int len; const unsigned char *data; } ngx_http_lua_ffi_str_t;
    ]]
end

local core = {
    version = base.version,
    new_tab = base.new_table,
    clear_tab = base.clear_table,
    FFI_OK = 0,
    FFI_NO_REQ_CTX = -100,
    FFI_BAD_CONTEXT = -101,
    FFI_ERROR = -1,
    FFI_AGAIN = -2,
    FFI_BUSY = -3,
    FFI_DONE = -4,
    FFI_DECLINED = -5,
    FFI_ABORT = -6,
}

local error_out
function core.get_errmsg_ptr()
    error_out = error_out or ffi.new("char *[1]")
    return error_out
end

local size_out
function core.get_size_ptr()
    size_out = size_out or ffi.new("size_t[1]")
    return size_out
end

local buffer_size = 4096
local buffer

function core.set_string_buf_size(size)
    if size > 0 then
        buffer = nil
        buffer_size = ceil(size)
    end
end

function core.get_string_buf_size()
    return buffer_size
end

function core.get_string_buf(size, must_alloc)
    if size > buffer_size or must_alloc then
        return ffi.new("unsigned char[?]", size)
    end
    buffer = buffer or ffi.new("unsigned char[?]", buffer_size)
    return buffer
end

-- Keeps `value` in a table under a number that is free; 0 heads the list of numbers that were given back.
function core.ref_in_table(list, value)
    if value == nil then
        return -1
    end
    local ref = list[0]
    if ref and ref ~= 0 then
        list[0] = list[ref]
    else
        ref = #list + 1
    end
    list[ref] = value
    return ref
end

function core.allows_subsystem(...)
    for i = 1, select("#", ...) do
        if select(i, ...) == "http" then
            return
        end
    end
    error("unsupported subsystem: http", 2)
end

-- Something that is the same within a request; nil when there is none.
core.get_request = native.current_request

return core
