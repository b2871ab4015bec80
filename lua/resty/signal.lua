-- Signals to other processes by name or number.
local base = require "moonphase.core.base"
local ffi = require "ffi"

local C = ffi.C
local assert = assert
local type = type

if not pcall(function() return C.kill end) then
    ffi.cdef "int kill(int32_t pid, int sig);"
end
if not pcall(function() return C.strerror end) then
    ffi.cdef "char *strerror(int errnum);"
end

local numbers = {
    NONE = 0, HUP = 1, INT = 2, QUIT = 3, ILL = 4, TRAP = 5, ABRT = 6, BUS = 7, FPE = 8, KILL = 9, USR1 = 10, SEGV = 11,
    USR2 = 12, PIPE = 13, ALRM = 14, TERM = 15, CHLD = 17, CONT = 18, STOP = 19, TSTP = 20, TTIN = 21, TTOU = 22, URG = 23,
    XCPU = 24, XFSZ = 25, VTALRM = 26, PROF = 27, WINCH = 28, IO = 29, PWR = 30, SYS = 31,
}

local signal = { version = base.version }

function signal.signum(name)
    if type(name) == "number" then
        return name
    end
    local number = numbers[name]
    if not number then
        return nil, "unknown signal name"
    end
    return number
end

-- True; or nil and why it could not be sent.
function signal.kill(pid, name)
    assert(name)
    local number, err = signal.signum(name)
    if not number then
        return nil, err
    end
    if C.kill(assert(pid), number) == 0 then
        return true
    end
    return nil, base.ffi_string(C.strerror(ffi.errno()))
end

return signal
