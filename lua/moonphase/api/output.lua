-- ngx.say, ngx.print, ngx.flush, ngx.eof, ngx.send_headers: all may wait for the client, so they are native.
local native = require("moonphase.native").output

ngx.print = native.print
ngx.say = native.say
ngx.flush = native.flush
ngx.eof = native.eof
ngx.send_headers = native.send_headers
