-- ngx.base64: base 64 with the URL alphabet (RFC 4648 section 5), without padding.
local text = require "moonphase.api.text"

local type = type

local _M = { version = "0.1.33" }

function _M.encode_base64url(s)
    if type(s) ~= "string" then
        return nil, "must provide a string"
    end
    return text.encode_url(s)
end

function _M.decode_base64url(s)
    if type(s) ~= "string" then
        return nil, "must provide a string"
    end
    local decoded = text.decode_url(s)
    if not decoded then
        return nil, "invalid input"
    end
    return decoded
end

return _M
