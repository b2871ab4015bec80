-- What the API modules share: the FFI library, scratch buffers, return codes and their errors.
local ffi = require "ffi"
local C = ffi.C

ffi.cdef [[
typedef struct { const char *data; size_t size; } mp_str;
]]

local new_table = require "table.new"
local clear_table = require "table.clear"
local getinfo = debug.getinfo

local base = new_table(0, 40)

base.version = "0.1.33"

base.C = C
base.ffi_string = ffi.string
base.ffi_new = ffi.new
base.new_table = new_table
base.clear_table = clear_table

base.OK = 0
base.ERROR = -1
base.AGAIN = -2
base.BUSY = -3
base.DONE = -4
base.DECLINED = -5
base.NO_REQUEST = -100
base.BAD_CONTEXT = -101

-- Scratch space. FFI calls neither park nor call Lua, so one of each is enough: what a call left here must be turned
-- into Lua values before the next API call.
local scratch_size = 4096
local scratch = ffi.new("char[?]", scratch_size)
base.scratch_size = scratch_size
base.str_out = ffi.new("mp_str[1]")
base.size_out = ffi.new("size_t[1]")
base.int_out = ffi.new("int[1]")
base.int64_out = ffi.new("int64_t[1]")
base.double_out = ffi.new("double[1]")
base.error_out = ffi.new("const char *[1]")

-- A buffer of at least `size` bytes: the common one, or one of its own when that is too small.
function base.buffer(size)
    if size <= scratch_size then
        return scratch
    end
    return ffi.new("char[?]", size)
end

-- Raises the error of a return code that says the function may not be called here. The position is that of the script:
-- the first frame that is not of the API, as tail calls leave no fixed number of them.
function base.refuse(code)
    local level = 2
    local info = getinfo(level, "S")
    while info and (info.what == "C" or info.source:sub(1, 11) == "@moonphase/") do
        level = level + 1
        info = getinfo(level, "S")
    end
    if code == -100 then
        error("no request found", level)
    end
    if code == -101 then
        error("API disabled in the current context", level)
    end
    error("unknown rc: " .. tostring(code), level)
end

return base
