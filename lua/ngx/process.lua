-- ngx.process: what the process is, and its end.
local base = require "moonphase.core.base"
local native = require("moonphase.native").process
local ffi = require "ffi"

ffi.cdef [[
int mp_process_kind(void);
int mp_process_master_pid(void);
void mp_process_quit(void);
]]

local C = base.C
local type = type

local names = {
    [0] = "single",
    [1] = "master",
    [3] = "worker",
    [99] = "privileged agent",
}

local process = { version = base.version }

function process.type()
    return names[C.mp_process_kind()]
end

function process.enable_privileged_agent(connections)
    if ngx.get_phase() ~= "init" then
        return nil, "API disabled in the current context"
    end
    -- It accepts no connection, and those its scripts open have limits of their own.
    connections = connections or 512
    if type(connections) ~= "number" or connections < 0 then
        return nil, "bad 'connections' argument: number expected and greater than 0"
    end
    if connections == 0 then
        ngx.log(ngx.ALERT, "0 worker_connection is not enough, privileged agent process cannot be spawned")
        return true
    end
    native.enable_privileged_agent()
    return true
end

function process.signal_graceful_exit()
    C.mp_process_quit()
end

function process.get_master_pid()
    return C.mp_process_master_pid()
end

return process
