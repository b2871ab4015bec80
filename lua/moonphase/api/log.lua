-- ngx.log, and print as ngx.log(ngx.NOTICE, ...).
local native = require("moonphase.native").log

ngx.log = native.log
print = native.print
