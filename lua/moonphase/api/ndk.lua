-- ndk.set_var: the functions behind the set_* directives.
local base = require "moonphase.core.base"
local ffi = require "ffi"

ffi.cdef [[
int mp_ndk_arguments(const char *directive, size_t size);
int mp_ndk_call(const char *directive, size_t size, const mp_str *arguments, int count, mp_str *out);
]]

local C = base.C
local ffi_string = base.ffi_string
local str_out = base.str_out
local error = error
local rawset = rawset
local tostring = tostring
local type = type

local MOST = 2
local arguments = ffi.new("mp_str[?]", MOST)

local function text_of(value)
    if type(value) == "string" then
        return value
    end
    return tostring(value)
end

-- The directive as a function of `count` values.
local function caller(directive, count)
    return function(first, second)
        -- Kept here: the pointers must not outlive the strings.
        local a = count > 0 and text_of(first) or ""
        local b = count > 1 and text_of(second) or ""
        arguments[0].data, arguments[0].size = a, #a
        arguments[1].data, arguments[1].size = b, #b
        local rc = C.mp_ndk_call(directive, #directive, arguments, count, str_out)
        if rc == base.NO_REQUEST then
            error("no request found", 2)
        end
        if rc ~= 0 then
            error("calling directive " .. directive .. " failed with code " .. rc, 2)
        end
        return ffi_string(str_out[0].data, str_out[0].size)
    end
end

ndk = {
    set_var = setmetatable({}, {
        __index = function(functions, directive)
            directive = tostring(directive)
            local count = C.mp_ndk_arguments(directive, #directive)
            if count < 0 then
                error('ndk.set_var: directive "' .. directive .. '" not found or does not use ndk_set_var_value', 2)
            end
            local f = caller(directive, count)
            rawset(functions, directive, f)
            return f
        end,
        __newindex = function()
            error("not allowed", 2)
        end,
    }),
}
package.loaded.ndk = ndk
