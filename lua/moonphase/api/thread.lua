-- ngx.thread, and what coroutine.* must know about light threads. Everything else of coroutine.* is LuaJIT's own.
local native = require("moonphase.native")
local thread = native.thread

local error = error

ngx.thread = {
    spawn = thread.spawn,
    wait = thread.wait,
    kill = thread.kill,
}

local thread_status = native.ctx.thread_status
local resume_refusal = native.ctx.resume_refusal
local note_running = native.ctx.note_running
local note_error = native.ctx.note_error
local create = coroutine.create
local status = coroutine.status
local running = coroutine.running
local resume = coroutine.resume
local wrap = coroutine.wrap
local C = require("ffi").C

-- A light thread that waits is "running", one that has ended is "zombie" until its parent has waited for it.
function coroutine.status(co)
    return thread_status(co) or status(co)
end

function coroutine.running()
    note_running()
    return running()
end

-- Light threads are resumed by the scheduler alone.
function coroutine.resume(co, ...)
    local refusal = resume_refusal(co)
    if refusal then
        return false, refusal
    end
    return resume(co, ...)
end

local function hand_on(co, ok, ...)
    if ok then
        return ...
    end
    note_error(co, (...))
    return error((...), 0)
end

-- LuaJIT's own puts the place of the caller before the text of an error each time it is handed on; in init and in filters
-- scripts have always got that.
function coroutine.wrap(f)
    local phase = C.mp_ctx_phase()
    if phase == 0 or phase == 0x20 or phase == 0x40 then
        return wrap(f)
    end
    local co = create(f)
    return function(...)
        return hand_on(co, resume(co, ...))
    end
end
