local base = require "moonphase.core.base"
local ffi = require "ffi"

local C = base.C
local byte = string.byte
local copy = ffi.copy
local ffi_string = base.ffi_string
local find = string.find

ffi.cdef [[
void mp_text_replace_char(char *text, size_t size, int from, int to);
]]

local utils = { version = base.version }

-- `text` with the first character of `to` for each one that is the first of `from`.
function utils.str_replace_char(text, from, to)
    if not find(text, from, nil, true) then
        return text
    end
    local size = #text
    local out = base.buffer(size)
    copy(out, text, size)
    C.mp_text_replace_char(out, size, byte(from), byte(to))
    local replaced = ffi_string(out, size)
    return replaced
end

return utils
