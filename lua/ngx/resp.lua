-- ngx.resp: more of the response head.
local base = require "moonphase.core.base"

local resp = { version = base.version }

function resp.add_header(name, value)
    base.set_resp_header(name, value, false, 2)
end

function resp.set_status(status, reason)
    return base.set_status(status, reason)
end

function resp.bypass_if_checks()
    return base.bypass_if_checks()
end

return resp
