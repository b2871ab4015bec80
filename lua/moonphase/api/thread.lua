-- ngx.thread, and what coroutine.* must know about light threads. Everything else of coroutine.* is LuaJIT's own.
local native = require("moonphase.native")
local thread = native.thread

ngx.thread = {
    spawn = thread.spawn,
    wait = thread.wait,
    kill = thread.kill,
}

local thread_status = native.ctx.thread_status
local note_running = native.ctx.note_running
local status = coroutine.status
local running = coroutine.running
local resume = coroutine.resume

-- A light thread that waits is "running", one that has ended is "zombie" until its parent has waited for it.
function coroutine.status(co)
    local known = thread_status(co)
    if known == "running" and status(co) == "normal" and co == running() then
        return "running"
    end
    return known or status(co)
end

function coroutine.running()
    note_running()
    return running()
end

-- Light threads are resumed by the scheduler alone.
function coroutine.resume(co, ...)
    local known = thread_status(co)
    if known then
        return false, "cannot resume " .. known .. " coroutine"
    end
    return resume(co, ...)
end
