-- ngx.config
local native = require("moonphase.native").config

local prefix = native.prefix()

ngx.config = {
    subsystem = "http",
    debug = false,
    nginx_version = native.version(),
    ngx_lua_version = 10030,
    prefix = function()
        return prefix
    end,
    nginx_configure = function()
        return " --with-http_ssl_module --with-http_v2_module"
    end,
}
