-- Header fields of requests and responses: reading all of them into a table, and handing values over.
local base = require "moonphase.core.base"
local args = require "moonphase.core.args"
local ffi = require "ffi"

local C = base.C
local ffi_string = base.ffi_string
local new_table = base.new_table
local put = args.put
local type = type
local tostring = tostring
local rawget = rawget
local setmetatable = setmetatable
local lower = string.lower
local gsub = string.gsub
local find = string.find

ffi.cdef [[
typedef struct { int id; mp_str name; mp_str value; } mp_field;
int mp_req_field_name(int id, mp_str *out);
]]

local MOST = 100
local fields_type = ffi.typeof("mp_field[?]")
local fields_array = ffi.new(fields_type, MOST)
-- An address is a constant of compiled code, an array is not.
local fields_out = ffi.cast("mp_field *", fields_array)
local values_type = ffi.typeof("mp_str[?]")
local values = ffi.new(values_type, MOST)

local headers = { values = values, MOST = MOST, fields_array = fields_array }

-- The names that have numbers, in lower case, by them.
local names = {}
do
    local out = base.str_out
    while C.mp_req_field_name(#names + 1, out) == 0 do
        names[#names + 1] = ffi_string(out[0].data, out[0].size)
    end
end

-- The last short value of each of these: most are the same in request after request, and to make a string of a text is to
-- look for it among all strings. The C side, which has the texts in `before`, sends none for what is the same.
local MOST_KEPT = 64
local before_array = ffi.new("mp_str[?]", #names + 1)
local before = ffi.cast("mp_str *", before_array)
local last_values = {}
for id = 1, #names do
    last_values[id] = ""
end
headers.before_array = before_array -- kept: the other is an address

local function known_value(id, value)
    if value.data == nil then
        return last_values[id]
    end
    local text = ffi_string(value.data, value.size)
    if #text <= MOST_KEPT then
        last_values[id] = text
        before[id].data = text
        before[id].size = #text
    end
    return text
end

-- Names that no spelling could find: they are in lower case, without underscores. The first ones that were asked for.
local plain = {}
local room = 256

local function search(fields, name)
    local lowered = lower(name)
    local value = rawget(fields, lowered)
    if value ~= nil then
        return value
    end
    if find(lowered, "_", 1, true) then
        return rawget(fields, (gsub(lowered, "_", "-")))
    end
    if lowered == name and room > 0 then
        room = room - 1
        plain[name] = true
    end
    return nil
end

-- Fields are found in any case, with underscores for hyphens.
local meta = {
    __index = function(fields, name)
        if plain[name] then
            return nil
        end
        return search(fields, name)
    end,
}

-- A table of the fields that the C function `get` lists, at most `max` of them (0: all); the second result tells that
-- there were more, which is `limited` for the debug log. Or nil and the code of a refusal.
function headers.read(get, max, raw, limited)
    if not max or max < 0 then
        max = MOST
    end
    local flag = raw and 1 or 0
    local out = fields_out
    local count = get(out, MOST, flag, before)
    if count < 0 then
        return nil, count
    end
    if count > MOST and (max == 0 or max > MOST) then
        out = ffi.new(fields_type, count)
        get(out, count, flag, before)
    end
    local truncated
    if max > 0 and count > max then
        C.mp_args_limited(limited, count, max)
        count = max
        truncated = "truncated"
    end
    local fields = new_table(0, count)
    for i = 0, count - 1 do
        local field = out[i]
        local id = field.id
        if id ~= 0 then
            put(fields, names[id], known_value(id, field.value))
        else
            put(fields, ffi_string(field.name.data, field.name.size), ffi_string(field.value.data, field.value.size))
        end
    end
    if not raw then
        setmetatable(fields, meta)
    end
    return fields, truncated
end

-- Sets the field with the C function `set`: a value, a list of values, or nil to remove it. Its return code.
function headers.write(set, name, value, replace)
    local flag = replace and 1 or 0
    if value == nil then
        return set(name, #name, values, 0, flag)
    end
    if type(value) ~= "table" then
        if type(value) ~= "string" then
            value = tostring(value)
        end
        values[0].data = value
        values[0].size = #value
        return set(name, #name, values, 1, flag)
    end
    local count = #value
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
    return set(name, #name, list, count, flag)
end

return headers
