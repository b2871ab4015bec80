-- Queries and form bodies as tables.
local base = require "moonphase.core.base"
local ffi = require "ffi"

local C = base.C
local ffi_string = base.ffi_string
local type = type

ffi.cdef [[
typedef struct { mp_str key; mp_str value; } mp_pair;
void mp_args_limited(const char *what, int seen, int limit);
int mp_args_count(const char *text, size_t size);
int mp_args_parse(const char *text, size_t size, char *buffer, mp_pair *out, int max);
]]

local pair_type = ffi.typeof("mp_pair[?]")
local MOST = 100
local pairs_out = ffi.new(pair_type, MOST)
-- Written out: a negative number cast to an unsigned 64-bit type comes out as 2^63.
local NO_VALUE = 0xffffffffffffffffULL

local args = {}

-- Adds a value to the table: a second one of the same name makes a list.
local function put(into, key, value)
    local existing = into[key]
    if existing == nil then
        into[key] = value
    elseif type(existing) == "table" then
        existing[#existing + 1] = value
    else
        into[key] = { existing, value }
    end
end
args.put = put

-- Decodes `text` into a table of at most `max` arguments (0: all); a second result tells that there were more, and is
-- missing else: scripts hand the results on as the arguments of others.
-- `text` is a pointer or a string.
function args.parse(text, size, max, into)
    local count = C.mp_args_count(text, size)
    local truncated
    if max > 0 and count > max then
        C.mp_args_limited("lua hit query args limit", 0, max)
        count = max
        truncated = "truncated"
    end
    if count == 0 then
        return into or {}
    end
    local out = count <= MOST and pairs_out or ffi.new(pair_type, count)
    local found = C.mp_args_parse(text, size, base.buffer(size), out, count)
    local result = into or base.new_table(0, found)
    for i = 0, found - 1 do
        local pair = out[i]
        local value
        if pair.value.size == NO_VALUE then
            value = true
        else
            value = ffi_string(pair.value.data, pair.value.size)
        end
        put(result, ffi_string(pair.key.data, pair.key.size), value)
    end
    if truncated then
        return result, truncated
    end
    return result
end

return args
