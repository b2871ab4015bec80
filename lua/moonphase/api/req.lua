-- ngx.req: method, URI, arguments, version, header fields of the request.
local base = require "moonphase.core.base"
local args = require "moonphase.core.args"
local native = require("moonphase.native").req
local ffi = require "ffi"

local C = base.C
local ffi_string = base.ffi_string
local str_out = base.str_out
local refuse = base.refuse
local put = args.put
local type = type
local error = error
local tostring = tostring
local rawget = rawget
local setmetatable = setmetatable
local lower = string.lower
local gsub = string.gsub
local find = string.find

ffi.cdef [[
int mp_req_method(void);
void mp_req_method_text(mp_str *out);
int mp_req_set_method(int method);
double mp_req_start_time(void);
int mp_req_headers(mp_pair *out, int max, int raw);
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
    return ffi_string(str_out[0].data, str_out[0].size)
end

function req.set_method(method)
    if type(method) ~= "number" then
        return error("bad method number", 2)
    end
    local rc = C.mp_req_set_method(method)
    if rc == 0 then
        return
    end
    if rc == -5 then
        return error("unsupported HTTP method: " .. method, 2)
    end
    return refuse(rc, 2)
end

function req.start_time()
    local seconds = C.mp_req_start_time()
    if seconds < 0 then
        return error("no request found", 2)
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

-- Fields are found in any case, with underscores for hyphens.
local headers_meta = {
    __index = function(headers, name)
        name = lower(name)
        local value = rawget(headers, name)
        if value == nil and find(name, "_", 1, true) then
            value = rawget(headers, (gsub(name, "_", "-")))
        end
        return value
    end,
}

function req.get_headers(max, raw)
    if not max or max < 0 then
        max = 100
    end
    local out, room = args.pairs_out, args.MOST
    local count = C.mp_req_headers(out, room, raw and 1 or 0)
    if count < 0 then
        return refuse(count, 2)
    end
    if count > room and (max == 0 or max > room) then
        room = count
        out = ffi.new(args.pair_type, room)
        C.mp_req_headers(out, room, raw and 1 or 0)
    end
    local truncated
    if max > 0 and count > max then
        count = max
        truncated = "truncated"
    end
    local headers = base.new_table(0, count)
    for i = 0, count - 1 do
        local pair = out[i]
        put(headers, ffi_string(pair.key.data, pair.key.size), ffi_string(pair.value.data, pair.value.size))
    end
    if not raw then
        setmetatable(headers, headers_meta)
    end
    return headers, truncated
end

local MOST = 100
local values_type = ffi.typeof("mp_str[?]")
local values = ffi.new(values_type, MOST)

local function set_header(name, value, replace, level)
    if name == nil then
        return error("bad 'name' argument: string expected, got nil", level + 1)
    end
    if type(name) ~= "string" then
        name = tostring(name)
    end
    local rc
    if value == nil then
        if not replace then
            return error("bad 'value' argument: string or table expected, got nil", level + 1)
        end
        rc = C.mp_req_header_set(name, #name, values, 0, 1)
    elseif type(value) == "table" then
        local count = #value
        if count == 0 and not replace then
            return error("bad 'value' argument: non-empty table expected", level + 1)
        end
        local list = count <= MOST and values or ffi.new(values_type, count)
        -- Numbers become strings in a table of their own: their text must live until the call is over.
        local texts = value
        for i = 1, count do
            local text = value[i]
            if type(text) ~= "string" then
                if texts == value then
                    texts = {}
                end
                text = tostring(text)
                texts[i] = text
            end
            list[i - 1].data = text
            list[i - 1].size = #text
        end
        rc = C.mp_req_header_set(name, #name, list, count, replace and 1 or 0)
    else
        if type(value) ~= "string" then
            value = tostring(value)
        end
        values[0].data = value
        values[0].size = #value
        rc = C.mp_req_header_set(name, #name, values, 1, replace and 1 or 0)
    end
    if rc == 0 or rc == -5 then
        return
    end
    if rc == -1 then
        return error("failed to set header", level + 1)
    end
    return refuse(rc, level + 1)
end
base.set_req_header = set_header

function req.set_header(name, value)
    return set_header(name, value, true, 2)
end

function req.clear_header(name)
    if type(name) ~= "string" then
        name = tostring(name)
    end
    return set_header(name, nil, true, 2)
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
