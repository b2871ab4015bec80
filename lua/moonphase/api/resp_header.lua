-- ngx.header, ngx.resp.get_headers().
local base = require "moonphase.core.base"
local native = require("moonphase.native").resp_header
local ffi = require "ffi"

local C = base.C
local ffi_string = base.ffi_string
local type = type
local error = error
local tostring = tostring
local setmetatable = setmetatable
local lower = string.lower
local gsub = string.gsub

ffi.cdef [[
int mp_resp_header_set(const char *name, size_t size, const mp_str *values, int count, int replace);
int mp_resp_header_get(const char *name, size_t size, mp_str *out, int max);
]]

local MOST = 100
local values_type = ffi.typeof("mp_str[?]")
local values = ffi.new(values_type, MOST)

local function set(name, value, replace, level)
    if type(name) ~= "string" then
        name = tostring(name)
    end
    local rc
    if value == nil then
        if not replace then
            return error("invalid header value", level + 1)
        end
        rc = C.mp_resp_header_set(name, #name, values, 0, 1)
    elseif type(value) == "table" then
        local count = #value
        if count == 0 and not replace then
            return
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
        rc = C.mp_resp_header_set(name, #name, list, count, replace and 1 or 0)
    else
        if type(value) ~= "string" then
            value = tostring(value)
        end
        values[0].data = value
        values[0].size = #value
        rc = C.mp_resp_header_set(name, #name, values, 1, replace and 1 or 0)
    end
    if rc == 0 or rc == -5 then
        return
    end
    if rc == -1 then
        return error("failed to set header", level + 1)
    end
    return base.refuse(rc, level + 1)
end

base.set_resp_header = set

local function get(_, name)
    if type(name) ~= "string" then
        name = tostring(name)
    end
    local count = C.mp_resp_header_get(name, #name, values, MOST)
    if count == 0 then
        return nil
    end
    if count == 1 then
        return ffi_string(values[0].data, values[0].size)
    end
    if count < 0 then
        return base.refuse(count, 2)
    end
    local list = base.new_table(count, 0)
    for i = 1, count do
        list[i] = ffi_string(values[i - 1].data, values[i - 1].size)
    end
    return list
end

ngx.header = setmetatable({}, {
    __index = get,
    __newindex = function(_, name, value)
        return set(name, value, true, 2)
    end,
})

-- Tables of header fields find their names in any case, with underscores for hyphens.
local headers_meta = {
    __index = function(headers, name)
        local canonical = gsub(lower(name), "_", "-")
        if canonical ~= name then
            return headers[canonical]
        end
        return nil
    end,
}
base.headers_meta = headers_meta

local get_headers = native.get_headers

ngx.resp = ngx.resp or {}

function ngx.resp.get_headers(max, raw)
    local headers, truncated = get_headers(max, raw)
    if not raw then
        setmetatable(headers, headers_meta)
    end
    if truncated then
        return headers, "truncated"
    end
    return headers
end
