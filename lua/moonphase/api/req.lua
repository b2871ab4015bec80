-- ngx.req: method, URI, arguments, version, header fields of the request.
local base = require "moonphase.core.base"
local args = require "moonphase.core.args"
local headers = require "moonphase.core.headers"
local native = require("moonphase.native").req
local ffi = require "ffi"

local C = base.C
local ffi_string = base.ffi_string
local str_out = base.str_out
local refuse = base.refuse
local type = type
local error = error
local tostring = tostring

ffi.cdef [[
int mp_req_method(void);
void mp_req_method_text(mp_str *out);
int mp_req_set_method(int method);
double mp_req_start_time(void);
int mp_req_headers(mp_field *out, int max, int raw, mp_str *before);
int mp_req_header_set(const char *name, size_t size, const mp_str *values, int count, int replace);
int mp_req_args(mp_str *out);
]]

local req = {}
ngx.req = req

req.set_uri = native.set_uri
req.set_uri_args = native.set_uri_args
req.http_version = native.http_version
req.raw_header = native.raw_header

local methods = {
    [0x2] = "GET", [0x4] = "HEAD", [0x8] = "POST", [0x10] = "PUT", [0x20] = "DELETE", [0x40] = "MKCOL",
    [0x80] = "COPY", [0x100] = "MOVE", [0x200] = "OPTIONS", [0x400] = "PROPFIND", [0x800] = "PROPPATCH",
    [0x1000] = "LOCK", [0x2000] = "UNLOCK", [0x4000] = "PATCH", [0x8000] = "TRACE",
}

function req.get_method()
    local id = C.mp_req_method()
    local name = methods[id]
    if name then
        return name
    end
    if id < 0 then
        return refuse(id, 2)
    end
    C.mp_req_method_text(str_out)
    return (ffi_string(str_out[0].data, str_out[0].size))
end

function req.set_method(method)
    if type(method) ~= "number" then
        error("bad method number", 2)
    end
    local rc = C.mp_req_set_method(method)
    if rc == 0 then
        return
    end
    if rc == -5 then
        error("unsupported HTTP method: " .. method, 2)
    end
    return refuse(rc, 2)
end

function req.start_time()
    local seconds = C.mp_req_start_time()
    if seconds < 0 then
        error("no request found", 2)
    end
    return seconds
end

function req.is_internal()
    local rc = C.mp_ctx_is_internal()
    if rc < 0 then
        return refuse(rc, 2)
    end
    return rc == 1
end

local read_fields = headers.read
local mp_req_headers = C.mp_req_headers

function req.get_headers(max, raw)
    local fields, truncated = read_fields(mp_req_headers, max, raw, "lua exceeding request header limit")
    if not fields then
        return refuse(truncated, 2)
    end
    if truncated then
        return fields, truncated
    end
    return fields
end

local function set_header(name, value, replace, level)
    if name == nil then
        error("bad 'name' argument: string expected, got nil", level + 1)
    end
    if type(name) ~= "string" then
        name = tostring(name)
    end
    if not replace then
        if value == nil then
            error("bad 'value' argument: string or table expected, got nil", level + 1)
        end
        if type(value) == "table" and #value == 0 then
            error("bad 'value' argument: non-empty table expected", level + 1)
        end
    end
    local rc = headers.write(C.mp_req_header_set, name, value, replace)
    if rc == 0 or rc == -5 then
        return
    end
    if rc == -1 then
        error("failed to set header", level + 1)
    end
    return refuse(rc, level + 1)
end
base.set_req_header = set_header

function req.set_header(name, value)
    set_header(name, value, true, 2)
end

function req.clear_header(name)
    if type(name) ~= "string" then
        name = tostring(name)
    end
    set_header(name, nil, true, 2)
end

function req.get_uri_args(max, into)
    local rc = C.mp_req_args(str_out)
    if rc ~= 0 then
        return refuse(rc, 2)
    end
    if not max or max < 0 then
        max = 100
    end
    if into then
        base.clear_table(into)
    end
    return args.parse(str_out[0].data, str_out[0].size, max, into)
end
