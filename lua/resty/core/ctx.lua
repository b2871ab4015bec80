local base = require "moonphase.core.base"

return {
    _VERSION = base.version,
    get_ctx_table = function(ctx)
        local current = ngx.ctx
        if ctx and next(current) == nil then
            ngx.ctx = ctx
            return ctx
        end
        return current
    end,
}
