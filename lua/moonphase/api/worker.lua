-- ngx.worker
local base = require "moonphase.core.base"
local ffi = require "ffi"
local C = base.C

ffi.cdef [[
int mp_worker_pid(void);
int mp_worker_id(void);
int mp_worker_count(void);
int mp_worker_exiting(void);
int mp_worker_pids(int *out, int max);
]]

local worker = {}
ngx.worker = worker

function worker.exiting()
    return C.mp_worker_exiting() ~= 0
end

function worker.pid()
    local result = C.mp_worker_pid()
    return result
end

function worker.id()
    local id = C.mp_worker_id()
    if id < 0 then
        return nil
    end
    return id
end

function worker.count()
    local result = C.mp_worker_count()
    return result
end

function worker.pids()
    local phase = ngx.get_phase()
    if phase == "init" or phase == "init_worker" then
        return nil, "API disabled in the current context"
    end
    -- While the configuration is reloaded there are old workers beside the new ones.
    local max = C.mp_worker_count() * 4
    local out = ffi.new("int[?]", max)
    local pids = {}
    for i = 1, C.mp_worker_pids(out, max) do
        pids[i] = out[i - 1]
    end
    return pids
end
