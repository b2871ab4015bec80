-- Computed fields of the ngx table.
local base = require "moonphase.core.base"

return {
    _VERSION = base.version,
    register_ngx_magic_key_getter = function(key, get)
        base.register_getter(key, get)
    end,
    register_ngx_magic_key_setter = function(key, set)
        base.register_setter(key, set)
    end,
}
