-- ngx.var. Names that the configuration knows are looked up once in the life of the VM, then found by index.
local base = require "moonphase.core.base"
local ffi = require "ffi"

local C = base.C
local ffi_string = base.ffi_string
local out = base.str_out
local type = type
local error = error
local tostring = tostring

ffi.cdef [[
int mp_var_index(const char *name, size_t size);
int mp_var_get_index(int index, const char *before, size_t size, mp_str *out);
int mp_var_get(const char *name, size_t size, mp_str *out);
int mp_var_capture(int number, mp_str *out);
int mp_var_set(const char *name, size_t size, const char *value, size_t value_size);
]]

local mp_var_get_index = C.mp_var_get_index
local indexes = {}
-- The last text of each variable that has an index: most are the same in request after request, and to make a string of
-- a text is to look for it among all strings.
local texts = { [0] = "" }
local MOST_KEPT = 64
local DECLINED = base.DECLINED

local function refuse(rc)
    if rc == -101 then
        error("API disabled in the current context", 3)
    end
    error("no request found", 3)
end

local function get(_, name)
    local rc
    local index = indexes[name]
    if index then
        local before = texts[index]
        rc = mp_var_get_index(index, before, #before, out)
        if rc == 1 then
            return before
        end
        if rc == 0 then
            local text = ffi_string(out[0].data, out[0].size)
            if #text <= MOST_KEPT then
                texts[index] = text
            end
            return text
        end
    elseif type(name) == "string" then
        if index == nil then
            rc = C.mp_var_index(name, #name)
            if rc >= 0 then
                for i = #texts + 1, rc do
                    texts[i] = "" -- without gaps it is an array
                end
                indexes[name] = rc
            elseif rc == DECLINED then
                -- Prefix variables have no index, and their names may come from outside: not remembered.
                index = false
            end
        end
        if rc == nil or rc >= 0 or rc == DECLINED then
            rc = C.mp_var_get(name, #name, out)
        end
    elseif type(name) == "number" then
        rc = C.mp_var_capture(name, out)
    else
        error("bad variable name", 2)
    end

    if rc == 0 then
        return (ffi_string(out[0].data, out[0].size))
    end
    if rc == DECLINED then
        return nil
    end
    return refuse(rc)
end

local function set(_, name, value)
    if type(name) ~= "string" then
        error("bad variable name", 2)
    end
    local size = 0
    if value ~= nil then
        if type(value) ~= "string" then
            value = tostring(value)
        end
        size = #value
    end
    local rc = C.mp_var_set(name, #name, value, size)
    if rc == 0 then
        return
    end
    name = name:lower()
    if rc == DECLINED then
        error('variable "' .. name .. '" not found for writing; maybe it is a built-in variable that is not '
            .. 'changeable or you forgot to use "set $' .. name .. " '';\" in the config file to define it first", 2)
    end
    if rc == -1 then
        error('variable "' .. name .. '" not changeable', 2)
    end
    return refuse(rc)
end

ngx.var = setmetatable({}, { __index = get, __newindex = set })
