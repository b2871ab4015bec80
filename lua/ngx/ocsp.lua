-- ngx.ocsp: requests about the status of certificates, their responses, and stapling.
local base = require "moonphase.core.base"

local ffi = require "ffi"
local C = base.C
local ffi_string = base.ffi_string
local errors = base.error_out
local size_out = base.size_out
local double_out = base.double_out
local tonumber = tonumber

ffi.cdef [[
int mp_ocsp_responder(const char *der, size_t size, char *out, size_t *room, const char **error);
int mp_ocsp_request(const char *der, size_t size, char *out, size_t *room, const char **error);
int mp_ocsp_validate(const char *response, size_t response_size, const char *der, size_t size, double *next_update,
                     const char **error);
int mp_ocsp_set_response(const char *response, size_t size, const char **error);
]]

local _M = { version = base.version }

function _M.get_ocsp_responder_from_der_chain(certs, maxlen)
    local room = maxlen or base.scratch_size
    local out = base.buffer(room)
    size_out[0] = room
    local rc = C.mp_ocsp_responder(certs, #certs, out, size_out, errors)
    if rc == base.DECLINED then
        return nil
    end
    if rc == base.OK then
        return ffi_string(out, size_out[0])
    end
    if rc == base.BUSY then
        return ffi_string(out, size_out[0]), "truncated"
    end
    return nil, ffi_string(errors[0])
end

function _M.create_ocsp_request(certs, maxlen)
    local room = maxlen or base.scratch_size
    local out = base.buffer(room)
    size_out[0] = room
    local rc = C.mp_ocsp_request(certs, #certs, out, size_out, errors)
    if rc == base.OK then
        return ffi_string(out, size_out[0])
    end
    if rc == base.BUSY then
        return nil, ffi_string(errors[0]) .. ": " .. tonumber(size_out[0]) .. " > " .. room
    end
    return nil, ffi_string(errors[0])
end

function _M.validate_ocsp_response(resp, chain, max_errmsg_len)
    double_out[0] = 0
    local rc = C.mp_ocsp_validate(resp, #resp, chain, #chain, double_out, errors)
    if rc == base.OK then
        local next_update = tonumber(double_out[0])
        return true, next_update ~= 0 and next_update or nil
    end
    local err = ffi_string(errors[0])
    return nil, max_errmsg_len and err:sub(1, max_errmsg_len) or err
end

function _M.set_ocsp_status_resp(ocsp_resp)
    local rc = C.mp_ocsp_set_response(ocsp_resp, #ocsp_resp, errors)
    if rc == base.DECLINED then
        return true, "no status req"
    end
    if rc == base.OK then
        return true
    end
    if rc <= base.NO_REQUEST then
        return base.refuse(rc)
    end
    return nil, ffi_string(errors[0])
end

return _M
