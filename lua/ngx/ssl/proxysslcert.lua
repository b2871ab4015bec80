-- ngx.ssl.proxysslcert: the certificate shown to an upstream server.
local base = require "moonphase.core.base"
local api = require "moonphase.core.ssl"

return api.setters(1, { version = base.version })
