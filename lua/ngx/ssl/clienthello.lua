-- ngx.ssl.clienthello: what the client's hello says, and the versions that may be chosen.
local base = require "moonphase.core.base"
local api = require "moonphase.core.ssl"

local ffi = require "ffi"
local bit = require "bit"
local C = base.C
local errors = base.error_out
local str_out = base.str_out
local text = api.text
local get_phase = ngx.get_phase
local ipairs = ipairs
local error = error

local _M = { version = base.version }

local MAX_CIPHERS = 128
local MAX_EXTENSIONS = 128
local ciphers_out = ffi.new("uint16_t[?]", MAX_CIPHERS)
local extensions_out = ffi.new("int[?]", MAX_EXTENSIONS)
local SUPPORTED_VERSIONS = 43

local function check_phase()
    local phase = get_phase()
    if not phase or phase == "init" then
        error("no request found", 3)
    end
    if phase ~= "ssl_client_hello" then
        error("API disabled in the current context", 3)
    end
end

function _M.get_client_hello_server_name()
    check_phase()
    return text(C.mp_ssl_hello_server_name(str_out, errors))
end

function _M.get_client_hello_ext(ext_type)
    check_phase()
    return text(C.mp_ssl_hello_ext(ext_type, str_out, errors))
end

function _M.get_client_hello_ext_present()
    check_phase()
    return api.list(C.mp_ssl_hello_ext_present(extensions_out, MAX_EXTENSIONS, errors), extensions_out)
end

function _M.get_client_hello_ciphers()
    check_phase()
    return api.list(C.mp_ssl_hello_ciphers(ciphers_out, MAX_CIPHERS, errors), ciphers_out)
end

local versions = {
    [0x002] = "SSLv2",
    [0x300] = "SSLv3",
    [0x301] = "TLSv1",
    [0x302] = "TLSv1.1",
    [0x303] = "TLSv1.2",
    [0x304] = "TLSv1.3",
}

-- The client's list from its end, as scripts are used to.
function _M.get_supported_versions()
    check_phase()
    local list, err = text(C.mp_ssl_hello_ext(SUPPORTED_VERSIONS, str_out, errors))
    if not list then
        return nil, err
    end
    if #list == 0 or list:byte(1) ~= #list - 1 then
        return nil
    end
    local types = {}
    for i = #list - 1, 2, -2 do
        local name = versions[list:byte(i) * 256 + list:byte(i + 1)]
        if name then
            types[#types + 1] = name
        end
    end
    return types
end

local protocols_by_name = {
    ["SSLv2"] = 0x0002,
    ["SSLv3"] = 0x0004,
    ["TLSv1"] = 0x0008,
    ["TLSv1.1"] = 0x0010,
    ["TLSv1.2"] = 0x0020,
    ["TLSv1.3"] = 0x0040,
}

function _M.set_protocols(protocols)
    check_phase()
    local bits = 0
    for _, name in ipairs(protocols) do
        local value = protocols_by_name[name]
        if not value then
            return nil, "invalid protocols failed"
        end
        bits = bit.bor(bits, value)
    end
    return api.outcome(C.mp_ssl_set_protocols(bits, errors))
end

return _M
