-- ngx.req: more of the request head.
local base = require "moonphase.core.base"

local req = { version = base.version }

function req.add_header(name, value)
    base.set_req_header(name, value, false, 2)
end

return req
