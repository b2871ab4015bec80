-- ngx.socket.udp() and its methods, which are native.
local native = require("moonphase.native").udp

local methods = {
    bind = native.bind,
    setpeername = native.setpeername,
    send = native.send,
    receive = native.receive,
    settimeout = native.settimeout,
    close = native.close,
}
-- The metatable holds the methods itself, as scripts that look into it expect.
methods.__index = methods

native.metatable(methods)

ngx.socket.udp = native.udp
