-- ngx.config, and the environment of init_by_lua.
local native = require("moonphase.native").config

local prefix = native.prefix()
local configure = native.configure()

-- init_by_lua runs before the process has the environment of the configuration; scripts shall see that one.
local getenv = os.getenv
local variable = native.variable

os.getenv = function(name)
    if ngx.get_phase() ~= "init" then
        os.getenv = getenv
        return getenv(name)
    end
    return variable(name) or getenv(name)
end

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
