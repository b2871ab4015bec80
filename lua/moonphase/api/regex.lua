-- ngx.re.match, find, gmatch, sub, gsub. ngx.re.split and opt are in the module ngx.re.
local base = require "moonphase.core.base"
local native = require("moonphase.native").regex

local bit = require "bit"
local ffi = require "ffi"
local C = base.C
local ffi_gc = ffi.gc
local ffi_string = base.ffi_string
local new_table = base.new_table
local str_out = base.str_out
local int_out = base.int_out
local band, bor, lshift = bit.band, bit.bor, bit.lshift
local byte, sub, format = string.byte, string.sub, string.format
local concat = table.concat
local error, setmetatable, tostring, tonumber, type = error, setmetatable, tostring, tonumber, type

ffi.cdef [[
typedef struct {
    int ncaptures;
    int name_count;
    int name_entry_size;
    const unsigned char *name_table;
    int *captures;
} mp_regex;
mp_regex *mp_regex_compile(const char *pattern, size_t size, uint32_t options, int flags, mp_str *error);
void mp_regex_free(mp_regex *regex);
int mp_regex_exec(mp_regex *regex, int flags, const char *subject, size_t size, int at);
int mp_regex_sub(mp_regex *regex, int flags, const char *subject, size_t size, const char *replacement,
                 size_t replacement_size, int global, mp_str *out, int *count);
]]

local ONCE, DFA, JIT, DUPNAMES, NO_UTF_CHECK = 0x01, 0x02, 0x04, 0x08, 0x10
local NO_MATCH, BAD_TEMPLATE = -1, -1000

-- What each letter means: flags of ours, options of PCRE2.
local letters = {
    o = { ONCE, 0 },
    j = { JIT, 0 },
    d = { DFA, 0 },
    D = { DUPNAMES, 0x40 },
    i = { 0, 0x08 },
    s = { 0, 0x20 },
    m = { 0, 0x400 },
    x = { 0, 0x80 },
    a = { 0, 0x80000000 },
    u = { 0, 0x80000 },
    U = { NO_UTF_CHECK, 0x80000 + 0x40000000 },
    J = { 0, 0x203 },
}

local parsed_options = { [""] = { 0, 0 } }

local function parse_options(opts)
    local flags, options = 0, {}
    for i = 1, #opts do
        local letter = letters[sub(opts, i, i)]
        if not letter then
            error(format('unknown flag "%s" (flags "%s")', sub(opts, i, i), opts), 4)
        end
        flags = bor(flags, letter[1])
        options[#options + 1] = letter[2]
    end
    local all = 0
    for _, option in ipairs(options) do
        all = bor(all, option)
    end
    if all < 0 then
        all = all + 2 ^ 32
    end
    local parsed = { flags, all }
    parsed_options[opts] = parsed
    return parsed
end

-- Compiled patterns, by options and text. When the fresh ones are too many they become the stale ones, and what is not
-- used again before the next change is dropped.
local fresh, stale, kept = {}, {}, 0
local most_kept
local cache_used = false

local function keep(opts, regex, compiled)
    local of_opts = fresh[opts]
    if not of_opts then
        of_opts = {}
        fresh[opts] = of_opts
    end
    of_opts[regex] = compiled
    kept = kept + 1
    cache_used = true
    if kept >= most_kept then
        fresh, stale, kept = {}, fresh, 0
    end
end

local function compile_anew(regex, flags, options)
    local compiled = C.mp_regex_compile(regex, #regex, options, flags, str_out)
    if compiled == nil then
        return nil, ffi_string(str_out[0].data, str_out[0].size)
    end
    ffi_gc(compiled, C.mp_regex_free)
    return compiled
end

-- The compiled pattern and its flags; nil and the error's text.
local function compile(regex, opts)
    opts = opts or ""
    local parsed = parsed_options[opts] or parse_options(opts)
    local flags = parsed[1]
    if type(regex) ~= "string" then
        if regex == nil then
            error("bad regex: string expected, got nil", 3)
        end
        regex = tostring(regex)
    end
    if not most_kept then
        most_kept = native.limits()
    end
    if band(flags, ONCE) == 0 or most_kept <= 0 then
        local compiled, err = compile_anew(regex, flags, parsed[2])
        if not compiled then
            return nil, err
        end
        return compiled, flags
    end
    local of_opts = fresh[opts]
    local compiled = of_opts and of_opts[regex]
    if compiled then
        return compiled, flags
    end
    of_opts = stale[opts]
    compiled = of_opts and of_opts[regex]
    if not compiled then
        local err
        compiled, err = compile_anew(regex, flags, parsed[2])
        if not compiled then
            return nil, err
        end
    end
    keep(opts, regex, compiled)
    return compiled, flags
end

local function add_named(compiled, flags, res)
    local names = compiled.name_table
    local entry_size = compiled.name_entry_size
    local duplicates = band(flags, DUPNAMES) ~= 0
    local at = 0
    for _ = 1, compiled.name_count do
        local name = ffi_string(names + at + 2)
        local capture = res[bor(lshift(names[at], 8), names[at + 1])]
        if not duplicates then
            res[name] = capture
        elseif capture then
            local others = res[name]
            if others then
                others[#others + 1] = capture
            else
                res[name] = { capture }
            end
        end
        at = at + entry_size
    end
end

local function group(captures, i, rc, subject)
    local from = captures[2 * i]
    if i > rc or from < 0 then
        return false
    end
    return (sub(subject, from + 1, captures[2 * i + 1]))
end

local function collect(compiled, rc, subject, flags, res)
    local captures = compiled.captures
    local count = compiled.ncaptures
    local named = compiled.name_count
    res = res or new_table(count, named + 1)
    res[0] = sub(subject, captures[0] + 1, captures[1])
    -- A loop of few rounds is one that LuaJIT gives up after some tries, and the scripts' loops around it too.
    if count > 0 then
        res[1] = group(captures, 1, rc, subject)
        if count > 1 then
            res[2] = group(captures, 2, rc, subject)
            if count > 2 then
                res[3] = group(captures, 3, rc, subject)
                for i = 4, count do
                    res[i] = group(captures, i, rc, subject)
                end
            end
        end
    end
    if named > 0 then
        add_named(compiled, flags, res)
    end
    return res
end

local function start_of(ctx)
    local pos = ctx and ctx.pos
    if not pos or pos <= 0 then
        return 0
    end
    return pos - 1
end

ngx.re = ngx.re or {}

function ngx.re.match(subject, regex, opts, ctx, res)
    subject = tostring(subject)
    local compiled, flags = compile(regex, opts)
    if not compiled then
        return nil, flags
    end
    local rc = C.mp_regex_exec(compiled, flags, subject, #subject, start_of(ctx))
    if rc < 0 then
        if rc == NO_MATCH then
            return nil
        end
        return nil, "pcre_exec() failed: " .. rc
    end
    if ctx then
        ctx.pos = compiled.captures[1] + 1
    end
    return collect(compiled, rc, subject, flags, res)
end

function ngx.re.find(subject, regex, opts, ctx, nth)
    subject = tostring(subject)
    local compiled, flags = compile(regex, opts)
    if not compiled then
        return nil, nil, flags
    end
    local rc = C.mp_regex_exec(compiled, flags, subject, #subject, start_of(ctx))
    if rc < 0 then
        if rc == NO_MATCH then
            return nil
        end
        return nil, nil, "pcre_exec() failed: " .. rc
    end
    local captures = compiled.captures
    if ctx then
        ctx.pos = captures[1] + 1
    end
    if not nth or nth < 0 then
        nth = 0
    end
    if nth > compiled.ncaptures then
        return nil, nil, "nth out of bound"
    end
    if nth >= rc then
        return nil, nil
    end
    local from, to = captures[2 * nth] + 1, captures[2 * nth + 1]
    if from <= 0 or to < 0 then
        return nil, nil
    end
    return from, to
end

local function next_match(self)
    local pos = self.pos
    if not pos then
        return nil
    end
    local subject, compiled, flags = self.subject, self.compiled, self.flags
    local rc = C.mp_regex_exec(compiled, flags, subject, #subject, pos)
    if rc < 0 then
        self.pos = nil
        if rc == NO_MATCH then
            return nil
        end
        return nil, "pcre_exec() failed: " .. rc
    end
    local captures = compiled.captures
    pos = captures[1]
    if pos == captures[0] then
        pos = pos + 1
        if pos > #subject then
            pos = nil
        end
    end
    self.pos = pos
    return collect(compiled, rc, subject, flags)
end

local gmatch_mt = { __call = next_match }

function ngx.re.gmatch(subject, regex, opts)
    subject = tostring(subject)
    local compiled, flags = compile(regex, opts)
    if not compiled then
        return nil, flags
    end
    return setmetatable({ compiled = compiled, flags = flags, subject = subject, pos = 0 }, gmatch_mt)
end

-- The function may wait, or use ngx.re itself: what is needed of a match is taken before it is called.
local function sub_by_function(subject, regex, replace, opts, global)
    local compiled, flags = compile(regex, opts)
    if not compiled then
        return nil, nil, flags
    end
    subject = tostring(subject)
    local size = #subject
    local pieces, n, count = {}, 0, 0
    local copied, pos = 0, 0
    repeat
        local rc = C.mp_regex_exec(compiled, flags, subject, size, pos)
        if rc == NO_MATCH then
            break
        end
        if rc < 0 then
            return nil, nil, "pcre_exec() failed: " .. rc
        end
        local from, to = compiled.captures[0], compiled.captures[1]
        local piece = tostring(replace(collect(compiled, rc, subject, flags)))
        count = count + 1
        pieces[n + 1] = sub(subject, copied + 1, from)
        pieces[n + 2] = piece
        n = n + 2
        copied = to
        pos = to == from and to + 1 or to
    until not global or pos > size
    if count == 0 then
        return subject, 0
    end
    pieces[n + 1] = sub(subject, copied + 1)
    return concat(pieces), count
end

local function substitute(subject, regex, replace, opts, global)
    if type(replace) == "function" then
        return sub_by_function(subject, regex, replace, opts, global)
    end
    replace = tostring(replace)
    local compiled, flags = compile(regex, opts)
    if not compiled then
        return nil, nil, flags
    end
    subject = tostring(subject)
    local rc = C.mp_regex_sub(compiled, flags, subject, #subject, replace, #replace, global and 1 or 0, str_out, int_out)
    if rc ~= 0 then
        if rc == BAD_TEMPLATE then
            return nil, nil, "failed to compile the replacement template"
        end
        return nil, nil, "pcre_exec() failed: " .. rc
    end
    local count = int_out[0]
    if count == 0 then
        return subject, 0
    end
    return ffi_string(str_out[0].data, str_out[0].size), count
end

function ngx.re.sub(subject, regex, replace, opts)
    local result, count, err = substitute(subject, regex, replace, opts, false)
    if err then
        return nil, nil, err
    end
    return result, count
end

function ngx.re.gsub(subject, regex, replace, opts)
    local result, count, err = substitute(subject, regex, replace, opts, true)
    if err then
        return nil, nil, err
    end
    return result, count
end

return {
    compile = compile,
    cache_used = function()
        return cache_used
    end,
}
