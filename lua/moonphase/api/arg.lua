-- ngx.arg
local native = require("moonphase.native").arg
local get, set = native.get, native.set

ngx.arg = setmetatable({}, {
    __index = function(_, index)
        return get(index)
    end,
    __newindex = function(_, index, value)
        return set(index, value)
    end,
})
