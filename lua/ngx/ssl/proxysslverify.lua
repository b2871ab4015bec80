-- ngx.ssl.proxysslverify: the verification of an upstream server's certificate.
local base = require "moonphase.core.base"
local api = require "moonphase.core.ssl"

local ffi = require "ffi"
local C = base.C
local errors = base.error_out
local get_phase = ngx.get_phase
local error = error

local _M = { version = base.version }

local function check_phase()
    local phase = get_phase()
    if not phase or phase == "init" then
        error("no request found", 3)
    end
    if phase ~= "proxy_ssl_verify" then
        error("API disabled in the current context", 3)
    end
end

function _M.set_verify_result(result)
    check_phase()
    return api.outcome(C.mp_ssl_set_verify_result(result, errors))
end

function _M.get_verify_result()
    check_phase()
    local result = C.mp_ssl_get_verify_result(errors)
    if result < 0 then
        return api.failure(result)
    end
    return result
end

function _M.get_verify_cert()
    check_phase()
    local certificate = C.mp_ssl_get_verify_cert(errors)
    if certificate == nil then
        return api.failure(base.ERROR)
    end
    return ffi.gc(certificate, C.mp_ssl_free_cert)
end

return _M
