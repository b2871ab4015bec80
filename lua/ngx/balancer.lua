-- ngx.balancer: the peer of a try, and how to speak to it.
local base = require "moonphase.core.base"
local ffi = require "ffi"

ffi.cdef [[
int mp_balancer_set_peer(const char *address, size_t size, int port, const char *host, size_t host_size,
                         const char **error);
int mp_balancer_enable_keepalive(double idle_timeout, double max_requests, const char **error);
int mp_balancer_set_more_tries(int count, const char **error);
const char *mp_balancer_last_failure(int *status, const char **error);
int mp_balancer_set_timeouts(double connect, double send, double read, const char **error);
int mp_balancer_recreate_request(const char **error);
int mp_balancer_set_tls(int on, const char **error);
int mp_balancer_bind(const char *address, size_t size, const char **error);
]]

local C = base.C
local ffi_string = base.ffi_string
local error_out = base.error_out
local int_out = base.int_out
local error = error
local tonumber = tonumber
local type = type

local balancer = { version = base.version }

local function check_request()
    if not base.has_request() then
        error("no request found", 3)
    end
end

local function result(rc)
    if rc == 0 then
        return true
    end
    return nil, ffi_string(error_out[0])
end

function balancer.set_current_peer(address, port, host)
    check_request()
    if not port then
        port = 0
    elseif type(port) ~= "number" then
        port = tonumber(port)
    end
    if host ~= nil and type(host) ~= "string" then
        error("bad argument #3 to 'set_current_peer' (string expected, got " .. type(host) .. ")")
    end
    return result(C.mp_balancer_set_peer(address, #address, port, host, host and #host or 0, error_out))
end

-- A number that may not be below zero.
local function natural(value, n)
    if type(value) ~= "number" then
        error("bad argument #" .. n .. " to 'enable_keepalive' (number expected, got " .. type(value) .. ")", 3)
    end
    if value < 0 then
        error("bad argument #" .. n .. " to 'enable_keepalive' (expected >= 0)", 3)
    end
    return value
end

function balancer.enable_keepalive(idle_timeout, max_requests)
    check_request()
    idle_timeout = idle_timeout and natural(idle_timeout, 1) or 60
    max_requests = max_requests and natural(max_requests, 2) or 100
    return result(C.mp_balancer_enable_keepalive(idle_timeout * 1000, max_requests, error_out))
end

function balancer.set_more_tries(count)
    check_request()
    local rc = C.mp_balancer_set_more_tries(count, error_out)
    if rc ~= 0 then
        return nil, ffi_string(error_out[0])
    end
    if error_out[0] ~= nil then
        return true, ffi_string(error_out[0])
    end
    return true
end

function balancer.get_last_failure()
    check_request()
    local state = C.mp_balancer_last_failure(int_out, error_out)
    if state ~= nil then
        return ffi_string(state), int_out[0]
    end
    if error_out[0] ~= nil then
        return nil, nil, ffi_string(error_out[0])
    end
    return nil
end

-- Seconds as milliseconds; 0 leaves a timeout as it is.
local function milliseconds(timeout, name)
    if not timeout then
        return 0
    end
    if type(timeout) ~= "number" or timeout <= 0 then
        error("bad " .. name .. " timeout", 3)
    end
    return timeout * 1000
end

function balancer.set_timeouts(connect, send, read)
    check_request()
    connect = milliseconds(connect, "connect")
    send = milliseconds(send, "send")
    read = milliseconds(read, "read")
    if C.mp_balancer_set_timeouts(connect, send, read, error_out) == 0 then
        return true
    end
    return false, ffi_string(error_out[0])
end

function balancer.recreate_request()
    check_request()
    return result(C.mp_balancer_recreate_request(error_out))
end

function balancer.set_upstream_tls(on)
    check_request()
    return result(C.mp_balancer_set_tls((on == 0 or on == false) and 0 or 1, error_out))
end

function balancer.bind_to_local_addr(address)
    check_request()
    if type(address) ~= "string" then
        error("bad argument #1 to 'bind_to_local_addr' (string expected, got " .. type(address) .. ")")
    end
    return result(C.mp_balancer_bind(address, #address, error_out))
end

return balancer
