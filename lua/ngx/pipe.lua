-- ngx.pipe: programs as other processes. The program is killed when its object is collected or the worker ends.
local base = require "moonphase.core.base"
local native = require("moonphase.native").pipe

local concat = table.concat
local error = error
local find = string.find
local ipairs = ipairs
local tonumber = tonumber
local tostring = tostring
local type = type

local ALL, BYTES, LINE, ANY = 0, 1, 2, 3
local LONGEST = 0xffffffff

local pipe = { version = base.version }

local timeout_names = { "write_timeout", "stdout_read_timeout", "stderr_read_timeout", "wait_timeout" }

local function check_timeouts(...)
    for i = 1, 4 do
        local timeout = (select(i, ...))
        if timeout and (timeout < 0 or timeout > LONGEST) then
            error("bad " .. timeout_names[i] .. " option", 3)
        end
    end
end

local function check_process(process)
    if type(process) ~= "userdata" then
        error("not a process instance", 3)
    end
end

local methods = {
    pid = native.pid,
}

function methods.set_timeouts(process, write, out, err, wait)
    check_process(process)
    check_timeouts(write, out, err, wait)
    native.set_timeouts(process, write, out, err, wait)
end

-- stdout_read_all() and stderr_read_all(), and so on.
for prefix, from_stderr in pairs { stdout = false, stderr = true } do
    methods[prefix .. "_read_all"] = function(process)
        check_process(process)
        return native.read(process, from_stderr, ALL, 0)
    end

    methods[prefix .. "_read_line"] = function(process)
        check_process(process)
        return native.read(process, from_stderr, LINE, 0)
    end

    methods[prefix .. "_read_bytes"] = function(process, size)
        if size <= 0 then
            if size < 0 then
                error("bad len argument", 2)
            end
            return ""
        end
        check_process(process)
        return native.read(process, from_stderr, BYTES, size)
    end

    methods[prefix .. "_read_any"] = function(process, max)
        max = tonumber(max)
        if not max or max <= 0 then
            error("bad max argument", 2)
        end
        check_process(process)
        return native.read(process, from_stderr, ANY, max)
    end
end

function methods.write(process, data)
    check_process(process)
    local kind = type(data)
    if kind == "table" then
        data = concat(data)
    elseif kind == "number" then
        data = tostring(data)
    elseif kind ~= "string" then
        error("bad data arg: string, number, or table expected, got " .. kind, 2)
    end
    return native.write(process, data)
end

function methods.wait(process)
    check_process(process)
    return native.wait(process)
end

function methods.shutdown(process, direction)
    check_process(process)
    if direction ~= "stdin" and direction ~= "stdout" and direction ~= "stderr" then
        error("bad shutdown arg: " .. direction, 2)
    end
    return native.shutdown(process, direction)
end

function methods.kill(process, signal)
    check_process(process)
    if type(signal) ~= "number" then
        error("bad signal arg: number expected, got " .. tostring(signal), 2)
    end
    return native.kill(process, signal)
end

native.metatable { __index = methods }

-- The program and its arguments as a list of strings; a single string is for the shell.
local function arguments_of(args)
    if type(args) == "string" then
        return { "/bin/sh", "-c", args }
    end
    if type(args) ~= "table" then
        error("bad args arg: table expected, got " .. type(args), 3)
    end
    local list = {}
    for i, arg in ipairs(args) do
        list[i] = tostring(arg)
    end
    if #list == 0 then
        error("bad args arg: non-empty table expected", 3)
    end
    return list
end

local function environment_of(environ)
    if not environ then
        return nil
    end
    if type(environ) ~= "table" then
        error("bad environ option: table expected, got " .. type(environ), 3)
    end
    local list = {}
    for i, entry in ipairs(environ) do
        if type(entry) ~= "string" then
            error("bad value at index " .. i .. " of environ option: string expected, got " .. type(entry), 3)
        end
        if not find(entry, "=", 2, true) then
            error("bad value at index " .. i .. " of environ option: 'name=[value]' format expected, got '" .. entry
                .. "'", 3)
        end
        list[i] = entry
    end
    return list[1] and list
end

function pipe.spawn(args, opts)
    if ngx.get_phase() == "init" then
        error("API disabled in the current context", 2)
    end
    local list = arguments_of(args)
    opts = opts or {}
    local buffer_size = 4096
    if opts.buffer_size then
        buffer_size = tonumber(opts.buffer_size)
        if not buffer_size or buffer_size < 1 then
            error("bad buffer_size option", 2)
        end
    end
    local environment = environment_of(opts.environ)
    check_timeouts(opts.write_timeout, opts.stdout_read_timeout, opts.stderr_read_timeout, opts.wait_timeout)
    local process, err = native.spawn(list, environment, opts.merge_stderr and true or false, buffer_size)
    if not process then
        return nil, err
    end
    native.set_timeouts(process, opts.write_timeout, opts.stdout_read_timeout, opts.stderr_read_timeout,
        opts.wait_timeout)
    return process
end

return pipe
