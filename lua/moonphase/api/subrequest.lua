-- ngx.location.capture, ngx.location.capture_multi
local native = require("moonphase.native").subrequest

ngx.location = {
    capture = native.capture,
    capture_multi = native.capture_multi,
}
