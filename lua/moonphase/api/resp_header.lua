-- ngx.header, ngx.resp.get_headers().
local base = require "moonphase.core.base"
local headers = require "moonphase.core.headers"
local ffi = require "ffi"

local C = base.C
local ffi_string = base.ffi_string
local type = type
local error = error
local tostring = tostring
local setmetatable = setmetatable
local values, MOST = headers.values, headers.MOST

ffi.cdef [[
int mp_resp_header_set(const char *name, size_t size, const mp_str *values, int count, int replace);
int mp_resp_headers(mp_field *out, int max, int raw, mp_str *before);
int mp_resp_header_get(const char *name, size_t size, mp_str *out, int max);
typedef struct { const char *name; size_t size; int id; } mp_field_name;
int mp_resp_header_name(const char *name, size_t size, mp_field_name *out);
int mp_resp_header_put(const mp_field_name *name, const char *value, size_t size);
]]

local mp_resp_header_set = C.mp_resp_header_set

local function check(rc, level)
    if rc == 0 or rc == -5 then
        return
    end
    if rc == -1 then
        error("failed to set header", level)
    end
    return base.refuse(rc, level)
end

local function set(name, value, replace, level)
    if type(name) ~= "string" then
        name = tostring(name)
    end
    if not replace then
        if value == nil then
            error("invalid header value", level + 1)
        end
        if type(value) == "table" and #value == 0 then
            return
        end
    end
    return check(headers.write(mp_resp_header_set, name, value, replace), level + 1)
end

base.set_resp_header = set

local function get(_, name)
    if type(name) ~= "string" then
        name = tostring(name)
    end
    local count = C.mp_resp_header_get(name, #name, values, MOST)
    if count == 0 then
        return nil
    end
    if count == 1 then
        return (ffi_string(values[0].data, values[0].size))
    end
    if count < 0 then
        return base.refuse(count, 2)
    end
    local list = base.new_table(count, 0)
    for i = 1, count do
        list[i] = ffi_string(values[i - 1].data, values[i - 1].size)
    end
    return list
end

-- Names that need no change are examined once. The C side has the text of the key here, which stays where it is as long
-- as the VM; what comes when the table is full is examined each time. False: to be examined each time.
local name_type = ffi.typeof("mp_field_name")
local names = {}
local room = 1000
local mp_resp_header_put = C.mp_resp_header_put

local function learn(name)
    if room == 0 or type(name) ~= "string" then
        return nil
    end
    room = room - 1
    local known = ffi.new(name_type)
    names[name] = C.mp_resp_header_name(name, #name, known) == 0 and known
    return names[name]
end

ngx.header = setmetatable({}, {
    __index = get,
    __newindex = function(_, name, value)
        if type(value) == "string" then
            local known = names[name]
            if known == nil then
                known = learn(name)
            end
            if known then
                local rc = mp_resp_header_put(known, value, #value)
                if rc == 0 then
                    return
                end
                return check(rc, 2)
            end
        end
        set(name, value, true, 2)
    end,
})

ngx.resp = ngx.resp or {}

function ngx.resp.get_headers(max, raw)
    local fields, truncated = headers.read(C.mp_resp_headers, max, raw, "lua exceeding response header limit")
    if not fields then
        if truncated == base.NO_REQUEST then
            error("no request object found", 2)
        end
        return base.refuse(truncated, 2)
    end
    if truncated then
        return fields, truncated
    end
    return fields
end
