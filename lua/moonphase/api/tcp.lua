-- ngx.socket.tcp() and its methods; ngx.req.socket(). What has come already is taken without leaving compiled code.
local base = require "moonphase.core.base"
local native = require("moonphase.native").tcp

local ffi = require "ffi"
local C = base.C
local ffi_string = base.ffi_string
local str_out = base.str_out
local select = select
local type = type

ffi.cdef [[
int mp_tcp_try_receive(void *socket, int mode, size_t size, mp_str *out);
int mp_tcp_try_send(void *socket, const char *data, size_t size);
]]

local LINE, CHUNK = 0, 2

local native_receive = native.receive
local native_send = native.send

local function receive(self, ...)
    local mode, size = LINE, 0
    if select("#", ...) == 1 then
        local pattern = ...
        if type(pattern) == "number" and pattern >= 1 then
            mode, size = CHUNK, pattern
        elseif pattern ~= "*l" then
            return native_receive(self, pattern)
        end
    elseif select("#", ...) ~= 0 then
        return native_receive(self, ...)
    end
    local socket = type(self) == "table" and self[1]
    if socket and C.mp_tcp_try_receive(socket, mode, size, str_out) == 0 then
        return ffi_string(str_out[0].data, str_out[0].size)
    end
    return native_receive(self, ...)
end

local function send(self, ...)
    local data = ...
    if type(data) == "string" and select("#", ...) == 1 and type(self) == "table" then
        local socket = self[1]
        if socket and C.mp_tcp_try_send(socket, data, #data) == 0 then
            return #data
        end
    end
    return native_send(self, ...)
end

local methods = {
    bind = native.bind,
    connect = native.connect,
    receive = receive,
    receiveany = native.receiveany,
    receiveuntil = native.receiveuntil,
    send = send,
    close = native.close,
    settimeout = native.settimeout,
    settimeouts = native.settimeouts,
    getreusedtimes = native.getreusedtimes,
    getfd = native.getfd,
    getoption = native.getoption,
    setoption = native.setoption,
    setkeepalive = native.setkeepalive,
}

local body_methods = {
    receive = receive,
    receiveany = native.receiveany,
    receiveuntil = native.receiveuntil,
    settimeout = native.settimeout,
    settimeouts = native.settimeouts,
    getfd = native.getfd,
    getoption = native.getoption,
    setoption = native.setoption,
}

local raw_methods = {
    receive = receive,
    receiveany = native.receiveany,
    receiveuntil = native.receiveuntil,
    send = native_send,
    settimeout = native.settimeout,
    settimeouts = native.settimeouts,
    getfd = native.getfd,
    getoption = native.getoption,
    setoption = native.setoption,
}

native.metatables({ __index = methods }, { __index = body_methods }, { __index = raw_methods })

ngx.socket = ngx.socket or {}
ngx.socket.tcp = native.tcp
ngx.socket.stream = native.tcp

function ngx.socket.connect(...)
    local sock = native.tcp()
    local ok, err = sock:connect(...)
    if not ok then
        return nil, err
    end
    return sock
end

ngx.req.socket = native.req_socket
