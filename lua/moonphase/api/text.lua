-- ngx.escape_uri() and the like: escaping, base 64, digests, checksums, queries.
local base = require "moonphase.core.base"
local args = require "moonphase.core.args"
local ffi = require "ffi"

local C = base.C
local ffi_string = base.ffi_string
local buffer = base.buffer
local concat = table.concat
local error = error
local floor = math.floor
local getinfo = debug.getinfo
local pairs = pairs
local tonumber = tonumber
local tostring = tostring
local type = type

ffi.cdef [[
size_t mp_text_escaped_size(const char *text, size_t size, int type);
void mp_text_escape(const char *text, size_t size, char *out, int type);
size_t mp_text_unescape(const char *text, size_t size, char *out);
size_t mp_text_quote_sql(const char *text, size_t size, char *out);
size_t mp_text_encode_base64(const char *text, size_t size, char *out, int padded);
size_t mp_text_encode_base64url(const char *text, size_t size, char *out);
int64_t mp_text_decode_base64(const char *text, size_t size, char *out, int kind);
void mp_text_md5(const char *text, size_t size, char *out);
void mp_text_md5_hex(const char *text, size_t size, char *out);
void mp_text_sha1(const char *text, size_t size, char *out);
void mp_text_hmac_sha1(const char *key, size_t key_size, const char *text, size_t size, char *out);
uint32_t mp_text_crc32(const char *text, size_t size);
]]

local ESCAPE_COMPONENT = 2

-- Anything as a string; false and nil are empty.
local function text_of(value)
    if type(value) == "string" then
        return value
    end
    return value and tostring(value) or ""
end

local function escape(text, kind)
    local size = #text
    local needed = tonumber(C.mp_text_escaped_size(text, size, kind))
    if needed == size then
        return text
    end
    local out = buffer(needed)
    C.mp_text_escape(text, size, out, kind)
    return (ffi_string(out, needed))
end

function ngx.escape_uri(text, kind)
    if kind == nil then
        kind = ESCAPE_COMPONENT
    elseif type(kind) ~= "number" then
        error("\"type\" is not a number", 3)
    elseif kind < 0 or kind > 6 then
        error("\"type\" " .. kind .. " out of range", 3)
    end
    return escape(text_of(text), kind)
end

function ngx.unescape_uri(text)
    text = text_of(text)
    local out = buffer(#text)
    return (ffi_string(out, C.mp_text_unescape(text, #text, out)))
end

function ngx.quote_sql_str(...)
    if select("#", ...) ~= 1 then
        error("expecting one argument", 2)
    end
    local text = ...
    if type(text) ~= "string" and type(text) ~= "number" then
        error("bad argument #1 to 'quote_sql_str' (string expected, got " .. type(text) .. ")", 2)
    end
    text = tostring(text)
    local out = buffer(2 * #text + 2)
    return (ffi_string(out, C.mp_text_quote_sql(text, #text, out)))
end

-- ---- queries

local function add_pair(parts, key, value)
    local kind = type(value)
    if kind == "boolean" then
        if value then
            parts[#parts + 1] = key
        end
    elseif kind == "string" or kind == "number" then
        parts[#parts + 1] = key .. "=" .. escape(tostring(value), ESCAPE_COMPONENT)
    else
        error("attempt to use " .. kind .. " as query arg value", 3)
    end
end

function ngx.encode_args(...)
    if select("#", ...) ~= 1 then
        error("expecting 1 argument but seen " .. select("#", ...), 2)
    end
    local query = ...
    if type(query) ~= "table" then
        -- As a function in C would name itself: by what its caller calls it.
        local name = getinfo(1, "n").name or "?"
        error("bad argument #1 to '" .. name .. "' (table expected, got " .. type(query) .. ")", 2)
    end
    local parts = {}
    for key, value in pairs(query) do
        if type(key) ~= "string" then
            error("attempt to use a non-string key in the \"args\" option table", 2)
        end
        key = escape(key, ESCAPE_COMPONENT)
        if type(value) == "table" then
            for i = 1, #value do
                add_pair(parts, key, value[i])
            end
        else
            add_pair(parts, key, value)
        end
    end
    return concat(parts, "&")
end

function ngx.decode_args(...)
    local count = select("#", ...)
    if count ~= 1 and count ~= 2 then
        error("expecting 1 or 2 arguments but seen " .. count, 2)
    end
    local text, max = ...
    if type(text) ~= "string" and type(text) ~= "number" then
        error("bad argument #1 to 'decode_args' (string expected, got " .. type(text) .. ")", 2)
    end
    text = tostring(text)
    local most = max == nil and 100 or tonumber(max)
    if not most then
        error("bad argument #2 to 'decode_args' (number expected, got " .. type(max) .. ")", 2)
    end
    return args.parse(text, #text, most < 0 and 0 or most)
end

-- ---- base 64

function ngx.encode_base64(text, no_padding)
    text = text_of(text)
    if no_padding and no_padding ~= true then
        error("bad no_padding: boolean expected, got " .. type(no_padding), 2)
    end
    local out = buffer(floor((#text + 2) / 3) * 4)
    return (ffi_string(out, C.mp_text_encode_base64(text, #text, out, no_padding and 0 or 1)))
end

local function decode(text, kind)
    local out = buffer(floor((#text + 3) / 4) * 3)
    local size = C.mp_text_decode_base64(text, #text, out, kind)
    if size < 0 then
        return nil
    end
    return (ffi_string(out, size))
end

function ngx.decode_base64(text)
    if type(text) ~= "string" then
        error("string argument only", 2)
    end
    return decode(text, 0)
end

function ngx.decode_base64mime(text)
    if type(text) ~= "string" then
        error("string argument only", 2)
    end
    return decode(text, 2)
end

-- ---- digests

local function digest(fill, size)
    return function(text)
        text = text_of(text)
        local out = buffer(size)
        fill(text, #text, out)
        return (ffi_string(out, size))
    end
end

ngx.md5 = digest(C.mp_text_md5_hex, 32)
ngx.md5_bin = digest(C.mp_text_md5, 16)
ngx.sha1_bin = digest(C.mp_text_sha1, 20)

function ngx.hmac_sha1(...)
    if select("#", ...) ~= 2 then
        error("expecting 2 arguments, but got " .. select("#", ...), 2)
    end
    local key, text = ...
    if type(key) ~= "string" and type(key) ~= "number" then
        error("bad argument #1 to 'hmac_sha1' (string expected, got " .. type(key) .. ")", 2)
    end
    key, text = text_of(key), text_of(text)
    local out = buffer(20)
    C.mp_text_hmac_sha1(key, #key, text, #text, out)
    return (ffi_string(out, 20))
end

local function crc32(text)
    text = text_of(text)
    return (tonumber(C.mp_text_crc32(text, #text)))
end

-- The peer has one for short texts and one for long ones; the result is the same.
ngx.crc32_short = crc32
ngx.crc32_long = crc32

-- What lua/ngx/base64.lua is made of.
return {
    encode_url = function(text)
        local out = buffer(floor((#text * 4 + 2) / 3))
        return (ffi_string(out, C.mp_text_encode_base64url(text, #text, out)))
    end,
    decode_url = function(text)
        return decode(text, 1)
    end,
}
