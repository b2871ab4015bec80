-- ndk.set_var: the set_* directives of other modules as functions. Those that are only another name for a function of the
-- ngx API are there.
local error = error
local tostring = tostring
local type = type

local names = {
    set_escape_uri = "escape_uri",
    set_unescape_uri = "unescape_uri",
    set_quote_sql_str = "quote_sql_str",
    set_encode_base64 = "encode_base64",
    set_decode_base64 = "decode_base64",
    set_md5 = "md5",
}

ndk = {
    set_var = setmetatable({}, {
        __index = function(_, directive)
            local name = names[directive]
            if not name then
                return error('ndk.set_var: directive "' .. tostring(directive)
                    .. '" not found or does not use ndk_set_var_value', 2)
            end
            return function(text)
                if type(text) ~= "string" then
                    text = tostring(text)
                end
                return ngx[name](text)
            end
        end,
        __newindex = function()
            return error("not allowed", 2)
        end,
    }),
}
package.loaded.ndk = ndk
