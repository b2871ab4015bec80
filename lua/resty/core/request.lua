local base = require "moonphase.core.base"

return {
    version = base.version,
    set_req_header = function(name, value, override)
        base.set_req_header(name, value, override, 2)
    end,
}
