-- ngx.proxyssl: what the connection to the upstream server has agreed on.
local base = require "moonphase.core.base"
local api = require "moonphase.core.ssl"

local _M = api.version_functions(1)
_M.version = base.version
return _M
