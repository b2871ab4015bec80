-- ngx.ssl: certificates and keys of the handshake, and what the connection has agreed on.
local base = require "moonphase.core.base"
local api = require "moonphase.core.ssl"

local ffi = require "ffi"
local C = base.C
local ffi_gc = ffi.gc
local ffi_string = base.ffi_string
local str_out = base.str_out
local int_out = base.int_out
local size_out = base.size_out
local errors = base.error_out
local outcome = api.outcome
local failure = api.failure
local tonumber = tonumber
local type = type

local _M = api.certificate_functions(0)
_M.version = base.version

local MAX_CIPHERS = 255
local ciphers_out = ffi.new("uint16_t[?]", MAX_CIPHERS)

function _M.get_req_shared_ssl_ciphers(filter_grease)
    return api.list(C.mp_ssl_shared_ciphers(ciphers_out, MAX_CIPHERS, filter_grease == false and 0 or 1, errors),
                    ciphers_out)
end

local address_types = { [0] = "unix", [1] = "inet", [2] = "inet6" }

local function raw_address(of_server)
    local rc = C.mp_ssl_raw_address(of_server, str_out, int_out, errors)
    if rc ~= 0 then
        local _, err = failure(rc)
        return nil, nil, err
    end
    return ffi_string(str_out[0].data, str_out[0].size), address_types[int_out[0]]
end

function _M.raw_server_addr()
    return raw_address(1)
end

function _M.raw_client_addr()
    return raw_address(0)
end

function _M.server_port()
    local port = C.mp_ssl_server_port(errors)
    if port < 0 then
        return failure(port)
    end
    return port
end

function _M.server_name()
    return api.text(C.mp_ssl_server_name(str_out, errors))
end

local function der(size, out)
    if size > 0 then
        return ffi_string(out, size)
    end
    return failure(size)
end

function _M.cert_pem_to_der(pem)
    local out = base.buffer(#pem)
    return der(C.mp_ssl_cert_pem_to_der(pem, #pem, out, errors), out)
end

function _M.priv_key_pem_to_der(pem, passphrase)
    local out = base.buffer(#pem)
    return der(C.mp_ssl_key_pem_to_der(pem, #pem, passphrase, out, errors), out)
end

local function parser(parse, free)
    return function(text)
        local object = parse(text, #text, errors)
        if object ~= nil then
            return ffi_gc(object, free)
        end
        return failure(base.ERROR)
    end
end

_M.parse_pem_cert = parser(C.mp_ssl_parse_pem_cert, C.mp_ssl_free_certs)
_M.parse_der_cert = parser(C.mp_ssl_parse_der_cert, C.mp_ssl_free_certs)
_M.parse_pem_priv_key = parser(C.mp_ssl_parse_pem_key, C.mp_ssl_free_key)
_M.parse_der_priv_key = parser(C.mp_ssl_parse_der_key, C.mp_ssl_free_key)

function _M.verify_client(client_certs, depth, trusted_certs)
    return outcome(C.mp_ssl_verify_client(client_certs, trusted_certs, depth or -1, errors))
end

local function export(early, length, label, context)
    local out = base.buffer(length)
    local rc = C.mp_ssl_export(early, out, length, label, #label, context, context and #context or 0,
                               context and 1 or 0, errors)
    if rc == 0 then
        return ffi_string(out, length)
    end
    return failure(rc)
end

function _M.export_keying_material(length, label, context)
    return export(0, length, label, context)
end

function _M.export_keying_material_early(length, label, context)
    return export(1, length, label, context)
end

local function pointer(with_upstream)
    errors[0] = nil
    local ssl = C.mp_ssl_pointer(with_upstream, errors)
    if ssl ~= nil then
        return ssl
    end
    return failure(errors[0] == nil and base.NO_REQUEST or base.ERROR)
end

function _M.get_req_ssl_pointer()
    return pointer(0)
end

function _M.get_upstream_ssl_pointer()
    return pointer(1)
end

function _M.ssl_session_reused(ssl)
    if not ssl or type(ssl) ~= "cdata" then
        return nil, "bad ssl"
    end
    return C.mp_ssl_session_reused(ssl) == 1
end

local function secret(which, length)
    local out = base.buffer(length)
    size_out[0] = length
    local rc = C.mp_ssl_secret(which, out, size_out, errors)
    if rc ~= 0 then
        return failure(rc)
    end
    if length == 0 then
        return tonumber(size_out[0])
    end
    return ffi_string(out, size_out[0])
end

function _M.get_client_random(length)
    return secret(0, length or 32)
end

function _M.get_server_random(length)
    return secret(1, length or 32)
end

function _M.get_session_master_key(length)
    return secret(2, length or 48)
end

return _M
