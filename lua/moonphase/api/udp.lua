-- ngx.socket.udp() and its methods, which are native.
local native = require("moonphase.native").udp

native.metatable {
    __index = {
        bind = native.bind,
        setpeername = native.setpeername,
        send = native.send,
        receive = native.receive,
        settimeout = native.settimeout,
        close = native.close,
    },
}

ngx.socket.udp = native.udp
