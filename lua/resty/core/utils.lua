local base = require "moonphase.core.base"

return {
    version = base.version,
    -- One character for another, all over.
    str_replace_char = function(text, find, replace)
        return (text:gsub("%" .. find:sub(1, 1), function() return replace:sub(1, 1) end))
    end,
}
