-- ngx.say, ngx.print, ngx.flush, ngx.eof, ngx.send_headers: all may wait for the client, so they are native. A few
-- strings that are only put with what is already held back need not wait, and stay in compiled code.
local base = require "moonphase.core.base"
local native = require("moonphase.native").output
local ffi = require "ffi"

local C = base.C
local select = select
local type = type
local native_print = native.print
local native_say = native.say

ffi.cdef [[
int mp_output_try(const mp_str *pieces, int count, int newline);
int mp_output_try_one(const char *text, size_t size, int newline);
]]
local mp_output_try = C.mp_output_try
local mp_output_try_one = C.mp_output_try_one

local pieces = ffi.new("mp_str[3]")
local first, second, third = pieces[0], pieces[1], pieces[2]

local function put(piece, text)
    if type(text) ~= "string" then
        return false
    end
    piece.data = text
    piece.size = #text
    return true
end

local function try(newline, count, a, b, c)
    if count == 1 then
        return type(a) == "string" and mp_output_try_one(a, #a, newline) == 0
    end
    return count <= 3 and put(first, a) and put(second, b) and (count == 2 or put(third, c))
       and mp_output_try(pieces, count, newline) == 0
end

function ngx.print(...)
    if try(0, select("#", ...), ...) then
        return 1
    end
    return native_print(...)
end

function ngx.say(...)
    if try(1, select("#", ...), ...) then
        return 1
    end
    return native_say(...)
end

ngx.flush = native.flush
ngx.eof = native.eof
ngx.send_headers = native.send_headers
