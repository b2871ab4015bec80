-- ngx.re: split() and opt().
local base = require "moonphase.core.base"
local regex_api = require "moonphase.api.regex"

local C = base.C
local new_table = base.new_table
local compile = regex_api.compile
local sub = string.sub
local error, tostring, type = error, tostring, type

local NO_MATCH = -1
local FIRST_SIZE = 4

local re = { version = base.version }

-- Where the next separator lies, and its first group; nil when there is none, or an error in the fourth place.
local function next_separator(subject, compiled, flags, pos)
    local rc = C.mp_regex_exec(compiled, flags, subject, #subject, pos > 0 and pos or 0)
    if rc < 0 then
        if rc == NO_MATCH then
            return nil
        end
        return nil, nil, nil, "pcre_exec() failed: " .. rc
    end
    local captures = compiled.captures
    local from, to = captures[0], captures[1]
    if compiled.ncaptures > 0 and rc > 1 then
        return from, to, sub(subject, captures[2] + 1, captures[3])
    end
    return from, to
end

function re.split(subject, regex, opts, ctx, max, res)
    subject = tostring(subject)
    max = max or 0
    local begin = ctx and ctx.pos or 1
    if not res then
        res = new_table(max > 0 and max < FIRST_SIZE and max or FIRST_SIZE, 0)
    elseif type(res) ~= "table" then
        error("res is not a table", 2)
    end
    local size = #subject
    if begin > size then
        res[1] = nil
        return res
    end
    local compiled, flags = compile(regex, opts)
    if not compiled then
        return nil, flags
    end

    local n, count = 0, 1
    local pos = begin - 1
    local last_empty
    while max <= 0 or count < max do
        local from, to, capture, err = next_separator(subject, compiled, flags, pos)
        if err then
            return nil, err
        end
        if not from then
            break
        end
        pos = from == to and to + 1 or to
        if last_empty then
            begin = last_empty
        end
        if from == to then
            last_empty = from + 1
        end
        if from + 1 > begin or not last_empty then
            count = count + 1
            n = n + 1
            res[n] = sub(subject, begin, from)
            if capture then
                n = n + 1
                res[n] = capture
            end
            begin = to + 1
            if begin > size then
                break
            end
        end
    end
    if ctx then
        ctx.pos = pos
    end

    if max <= 0 and begin > size then
        -- Empty fields at the end do not count.
        while n > 0 and res[n] == "" do
            res[n] = nil
            n = n - 1
        end
    else
        n = n + 1
        res[n] = sub(subject, begin)
    end
    res[n + 1] = nil
    return res
end

function re.opt(option)
    if option == "jit_stack_size" then
        if regex_api.cache_used() then
            error("changing jit stack size is not allowed when some regexs have already been compiled and cached", 2)
        end
        -- Matches of compiled patterns grow their stack as they need.
        return
    end
    error("unrecognized option name", 2)
end

return re
