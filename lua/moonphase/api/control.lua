-- ngx.exit, ngx.exec, ngx.redirect, ngx.on_abort. They do not come back, so they are native.
local native = require("moonphase.native").control

ngx.exit = native.exit
ngx.exec = native.exec
ngx.redirect = native.redirect
ngx.on_abort = native.on_abort
