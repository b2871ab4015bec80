-- ngx.socket.tcp() and its methods; ngx.req.socket(). What ends in a system call or a wait is native: code around it is
-- rarely compiled, where trying an FFI function first costs more than it saves. What only makes or fills a table is not,
-- so that compiled code goes on through it up to the first wait.
local base = require "moonphase.core.base"
local native = require("moonphase.native").tcp

local ffi = require "ffi"
local C = base.C
local select = select
local type = type
local tonumber = tonumber
local error = error
local ipairs = ipairs
local pcall = pcall
local rawget = rawget
local setmetatable = setmetatable

ffi.cdef [[
void mp_tcp_free_session(void *session);
]]

-- ---- TLS

local native_handshake = native.sslhandshake
local tls_object = native.tls_object
local void_pointer = ffi.typeof("void *")
local cast = ffi.cast

-- Objects of ngx.ssl as the natives take them.
local function light(object)
    return object and native.pointer(tonumber(cast("uintptr_t", object)))
end

local function as_session(pointer)
    return ffi.gc(cast(void_pointer, pointer), C.mp_tcp_free_session)
end

local function sslhandshake(self, reused_session, server_name, ssl_verify, send_status_req, ...)
    local extra = select("#", ...)
    if not self or extra > 0 then
        error("ngx.socket sslhandshake: expecting 1 ~ 5 arguments (including the object), but seen "
              .. (self and 5 + extra or 0))
    end
    local session = type(reused_session) == "cdata" and light(reused_session) or nil
    local result, err = native_handshake(self, session, reused_session ~= false, server_name, ssl_verify,
                                         send_status_req)
    if result == nil then
        return nil, err
    end
    if result == true then
        return true
    end
    if session and result == session then
        return reused_session
    end
    return as_session(result)
end

local function setclientcert(self, cert, pkey)
    if not cert and not pkey then
        self.client_cert, self.client_key = nil, nil
        native.setclientcert(self)
        return true
    end
    if not cert or not pkey then
        return nil, "client certificate must be supplied with corresponding private key"
    end
    if type(cert) ~= "cdata" then
        return nil, "bad cert arg: cdata expected, got " .. type(cert)
    end
    if type(pkey) ~= "cdata" then
        return nil, "bad pkey arg: cdata expected, got " .. type(pkey)
    end
    self.client_cert, self.client_key = cert, pkey
    native.setclientcert(self, light(cert), light(pkey))
    return true
end

local function settrustedstore(self, store)
    if store ~= nil and type(store) ~= "cdata" then
        return nil, "bad store arg: cdata expected, got " .. type(store)
    end
    local ok, err = native.settrustedstore(self, light(store))
    if not ok then
        return nil, err
    end
    self.trusted_store = store
    return true
end

local function object_getter(what, convert)
    return function(self)
        if not self then
            error("ngx.socket getfd: expecting the cosocket object, but seen none")
        end
        local object, err = tls_object(self, what)
        if not object then
            return nil, err
        end
        return convert(object)
    end
end

local function as_pointer(object)
    return cast(void_pointer, object)
end

-- A metatable with these natives. It holds the methods itself, as scripts that look into it expect.
local function methods_of(names, methods)
    for _, name in ipairs(names) do
        methods[name] = methods[name] or native[name]
    end
    methods.__index = methods
    return methods
end

-- Before there is a connection the object keeps the timeout, in its second element.
local native_settimeout = native.settimeout

local function settimeout(...)
    local self, timeout = ...
    if select("#", ...) == 2 and type(timeout) == "number" and timeout >= 0 and timeout < 0x80000000
        and type(self) == "table" and rawget(self, 1) == nil then
        self[2] = timeout
        return
    end
    return native_settimeout(...)
end

local reading = { "receive", "receiveany", "receiveuntil", "settimeout", "settimeouts", "getfd", "getoption",
                  "setoption" }

local body_methods = methods_of(reading, {})
local raw_methods = methods_of(reading, { send = native.send })
local methods = methods_of(reading, {
    send = native.send,
    settimeout = settimeout,
    bind = native.bind,
    connect = native.connect,
    close = native.close,
    getreusedtimes = native.getreusedtimes,
    setkeepalive = native.setkeepalive,
    sslhandshake = sslhandshake,
    setclientcert = setclientcert,
    settrustedstore = settrustedstore,
    getsslpointer = object_getter(1, as_pointer),
    getsslctx = object_getter(2, as_pointer),
    getsslsession = object_getter(3, as_session),
})

native.metatables(methods, body_methods, raw_methods)

-- Whether the caller may have sockets. It may once it is in a worker, and whoever comes later is too.
local check_context = native.check_context
local checked = false

local function tcp(...)
    if not checked then
        local ok, err = pcall(check_context)
        if not ok then
            error(err, 2)
        end
        checked = true
    end
    if select("#", ...) > 0 then
        error("expecting zero arguments, but got " .. select("#", ...), 2)
    end
    return (setmetatable({ nil, nil }, methods))
end

ngx.socket = ngx.socket or {}
ngx.socket.tcp = tcp
ngx.socket.stream = tcp

function ngx.socket.connect(...)
    local sock = tcp()
    local ok, err = sock:connect(...)
    if not ok then
        return nil, err
    end
    return sock
end

ngx.req.socket = native.req_socket
