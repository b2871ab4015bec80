-- ngx.arg
local base = require "moonphase.core.base"
local native = require("moonphase.native").arg
local ffi = require "ffi"

local C = base.C
local ffi_string = base.ffi_string
local out = base.str_out
local refuse = base.refuse
local set = native.set
local tonumber = tonumber

ffi.cdef [[
int mp_arg_get(int index, mp_str *out);
]]

ngx.arg = setmetatable({}, {
    __index = function(_, index)
        local kind = C.mp_arg_get(tonumber(index) or 0, out)
        if kind == 1 then
            local text = ffi_string(out[0].data, out[0].size)
            return text
        end
        if kind < 0 then
            return refuse(kind)
        end
        if kind == 0 then
            return nil
        end
        return kind == 3
    end,
    __newindex = function(_, index, value)
        set(index, value)
    end,
})
