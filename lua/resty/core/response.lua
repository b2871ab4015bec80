local base = require "moonphase.core.base"

return {
    version = base.version,
    set_resp_header = function(_, name, value, no_override)
        base.set_resp_header(name, value, not no_override, 2)
    end,
    bypass_if_checks = base.bypass_if_checks,
}
