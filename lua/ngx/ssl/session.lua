-- ngx.ssl.session: sessions of the handshake, as scripts store and find them.
local base = require "moonphase.core.base"
local api = require "moonphase.core.ssl"

local C = base.C
local ffi_string = base.ffi_string
local errors = base.error_out
local str_out = base.str_out

local _M = { version = base.version }

local MAX_SESSION = 4096

function _M.get_serialized_session()
    local out = base.buffer(MAX_SESSION)
    local size = C.mp_ssl_session_serialized(out, MAX_SESSION, errors)
    if size < 0 then
        return api.failure(size)
    end
    return ffi_string(out, size)
end

function _M.get_session_id()
    local rc = C.mp_ssl_session_id(str_out, errors)
    if rc ~= 0 then
        return api.failure(rc)
    end
    local id = ffi_string(str_out[0].data, str_out[0].size)
    -- As text: it is used as a key.
    return (id:gsub(".", function(c)
        return ("%02x"):format(c:byte())
    end))
end

function _M.set_serialized_session(session)
    return api.outcome(C.mp_ssl_set_session(session, #session, errors))
end

return _M
