-- ngx.timer: the functions are native, they are used as they are.
local native = require("moonphase.native").timer

ngx.timer = {
    at = native.at,
    every = native.every,
    running_count = native.running_count,
    pending_count = native.pending_count,
}
