-- ngx.req: reading, replacing and composing the request body.
local args = require "moonphase.core.args"
local native = require("moonphase.native").req_body
local select = select
local type = type
local error = error
local tonumber = tonumber

local req = ngx.req

req.read_body = native.read_body
req.discard_body = native.discard_body
req.get_body_data = native.get_body_data
req.get_body_file = native.get_body_file
req.set_body_data = native.set_body_data
req.set_body_file = native.set_body_file
req.init_body = native.init_body
req.append_body = native.append_body
req.finish_body = native.finish_body

local post_text = native.post_text

function req.get_post_args(...)
    local n = select("#", ...)
    if n > 1 then
        error("expecting 0 or 1 arguments but seen " .. n, 2)
    end
    local max = 100
    if n == 1 then
        max = tonumber((...))
        if not max then
            error("bad argument #1 to 'get_post_args' (number expected, got " .. type((...)) .. ")", 2)
        end
    end
    local text, err = post_text()
    if not text then
        if err then
            return nil, err
        end
        return {}
    end
    return args.parse(text, #text, max)
end
