-- ngx.config
local native = require("moonphase.native").config

local prefix = native.prefix()
local configure = native.configure()

ngx.config = {
    subsystem = "http",
    debug = false,
    nginx_version = native.version(),
    ngx_lua_version = 10032,
    prefix = function()
        return prefix
    end,
    nginx_configure = function()
        return configure
    end,
}
