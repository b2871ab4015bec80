-- ngx.shared: dictionaries that all workers share. The store itself is server/lua/shdict; everything here
-- is argument checking around its C functions, which never wait.
--
-- The module is a function: given the configuration's set of dictionaries (a pointer), it makes ngx.shared.
local ffi = require "ffi"

ffi.cdef[[
typedef struct mp_shdict_reply {
  double number;
  size_t size;
  const char *error;
  int type;
  int flags;
  int stale;
  int forcible;
} mp_shdict_reply;

int mp_shdict_count(const void *set);
void *mp_shdict_at(const void *set, int i, const char **name, size_t *size);

int mp_shdict_get(void *dict, int stale_too, const char *key, size_t key_size, char *buffer, size_t room,
                  mp_shdict_reply *reply);
int mp_shdict_store(void *dict, int mode, const char *key, size_t key_size, int type, const char *bytes,
                    size_t size, double number, double ttl, int flags, mp_shdict_reply *reply);
int mp_shdict_incr(void *dict, const char *key, size_t key_size, double by, int has_initial, double initial,
                   double ttl, mp_shdict_reply *reply);
int mp_shdict_put_number(void *dict, const char *key, size_t key_size, double number);
int mp_shdict_add_number(void *dict, const char *key, size_t key_size, double by, mp_shdict_reply *reply);
int mp_shdict_push(void *dict, int right, const char *key, size_t key_size, int type, const char *bytes,
                   size_t size, double number, mp_shdict_reply *reply);
int mp_shdict_pop(void *dict, int right, const char *key, size_t key_size, char *buffer, size_t room,
                  mp_shdict_reply *reply);
int mp_shdict_llen(void *dict, const char *key, size_t key_size, mp_shdict_reply *reply);
int mp_shdict_ttl(void *dict, const char *key, size_t key_size, mp_shdict_reply *reply);
int mp_shdict_expire(void *dict, const char *key, size_t key_size, double ttl);
void mp_shdict_flush_all(void *dict);
double mp_shdict_flush_expired(void *dict, int limit);
char *mp_shdict_keys(void *dict, int limit, int *count);
void mp_shdict_free_keys(char *keys);
double mp_shdict_capacity(void *dict);
double mp_shdict_free_space(void *dict);
]]

local C = ffi.C
local ffi_new = ffi.new
local ffi_string = ffi.string
local error = error
local select = select
local setmetatable = setmetatable
local tonumber = tonumber
local tostring = tostring
local type = type

-- Value types and store modes of the C side.
local NIL, BOOLEAN, NUMBER, STRING = 0, 1, 3, 4
local SET, ADD, REPLACE, SAFE = 0, 1, 2, 4
local MORE_ROOM, DECLINED = 1, -5

local MAX_KEY = 65535
local KEEP_ROOM = 65536   -- a value above this gets a buffer of its own

local reply = ffi_new("mp_shdict_reply")
local buffer, room = ffi_new("char[?]", 4096), 4096

local dict_type = ffi.typeof("void *")


-- The C object of a dictionary. `level`: whose mistake it is.
local function dict_of(zone, level)
    if type(zone) == "table" then
        local dict = zone[1]
        if type(dict) == "cdata" then
            return dict
        end
    end
    error('bad "zone" argument', level)
end

-- The key as a string, or nil and what is wrong with it.
local function key_of(key)
    if key == nil then
        return nil, "nil key"
    end
    if type(key) ~= "string" then
        key = tostring(key)
    end
    local size = #key
    if size == 0 then
        return nil, "empty key"
    end
    if size > MAX_KEY then
        return nil, "key too long"
    end
    return key
end

-- The dictionary, and the key or nil and what is wrong with it: what each method begins with.
local function place(zone, key)
    local dict = dict_of(zone, 4)
    local text, err = key_of(key)
    return dict, text, err
end

-- As above for lists, whose keys are strings or numbers, nothing else.
local function list_place(name, zone, key)
    local dict = dict_of(zone, 4)
    local kind = type(key)
    if kind ~= "string" and kind ~= "number" and key ~= nil then
        error("bad argument #1 to '" .. name .. "' (string expected, got " .. kind .. ")", 3)
    end
    local text, err = key_of(key)
    return dict, text, err
end

-- A number, or one written as a string.
local function number_of(value, name)
    local number = tonumber(value)
    if not number then
        error("bad " .. name .. " arg: number expected, got " .. type(value), 3)
    end
    return number
end

-- A buffer for the reply->size bytes that did not fit.
local function larger()
    local size = tonumber(reply.size)
    if size > KEEP_ROOM then
        return ffi_new("char[?]", size), size
    end
    buffer, room = ffi_new("char[?]", size), size
    return buffer, size
end

-- The value in the reply, whose bytes are in `from`.
local function value_in(from)
    local kind = reply.type
    if kind == STRING then
        return (ffi_string(from, reply.size))
    end
    if kind == NUMBER then
        return reply.number
    end
    if kind == BOOLEAN then
        return reply.number ~= 0
    end
    return nil
end

-- Calls `read`, which copies a value into a buffer, until the buffer is large enough.
local function fetch(read, dict, flag, key)
    local from, size = buffer, room
    local rc = read(dict, flag, key, #key, from, size, reply)
    while rc == MORE_ROOM do   -- again, if another worker makes it longer meanwhile
        from, size = larger()
        rc = read(dict, flag, key, #key, from, size, reply)
    end
    if rc ~= 0 then
        return nil, ffi_string(reply.error)
    end
    return value_in(from)
end

local methods = {}
methods.__index = methods

function methods.get(zone, key)
    local dict, text, err = place(zone, key)
    if not text then
        return nil, err
    end
    local value
    value, err = fetch(C.mp_shdict_get, dict, 0, text)
    if value == nil then
        if err then
            return nil, err
        end
        return nil   -- alone: callers print what they get
    end
    local flags = reply.flags
    if flags ~= 0 then
        return value, flags
    end
    return value
end

function methods.get_stale(zone, key)
    local dict, text, err = place(zone, key)
    if not text then
        return nil, err
    end
    local value
    value, err = fetch(C.mp_shdict_get, dict, 1, text)
    if value == nil then
        if err then
            return nil, err
        end
        return nil
    end
    local flags = reply.flags
    return value, flags ~= 0 and flags or nil, reply.stale == 1
end

-- Its callers call it in tail position: it stands directly under the script.
local function store(zone, mode, key, value, exptime, flags)
    local dict = dict_of(zone, 3)
    if not exptime then
        exptime = 0
    elseif exptime < 0 then
        error('bad "exptime" argument', 2)
    end
    local text, err = key_of(key)
    if not text then
        return nil, err
    end

    local kind = type(value)
    local bytes, size, number = nil, 0, 0
    if kind == "string" then
        kind, bytes, size = STRING, value, #value
    elseif kind == "number" then
        kind, number = NUMBER, value
    elseif kind == "boolean" then
        kind, number = BOOLEAN, value and 1 or 0
    elseif value == nil then
        kind = NIL
    else
        return nil, "bad value type"
    end
    local rc = C.mp_shdict_store(dict, mode, text, #text, kind, bytes, size, number, exptime * 1000, flags or 0,
                                 reply)
    if rc == 0 then
        return true, nil, reply.forcible == 1
    end
    return false, ffi_string(reply.error), reply.forcible == 1
end

local function storing(mode)
    return function(zone, key, value, exptime, flags)
        return store(zone, mode, key, value, exptime, flags)
    end
end

function methods.set(zone, key, value, exptime, flags)
    if type(value) == "number" and type(key) == "string" and (not exptime or exptime == 0)
       and (not flags or flags == 0)
    then
        if C.mp_shdict_put_number(dict_of(zone, 3), key, #key, value) ~= 0 then
            return true, nil, false
        end
    end
    return store(zone, SET, key, value, exptime, flags)
end

methods.safe_set = storing(SAFE)
methods.add = storing(ADD)
methods.safe_add = storing(ADD + SAFE)
methods.replace = storing(REPLACE)

function methods.delete(zone, key)
    return store(zone, SET, key, nil)
end

-- Whether incr's optional arguments are what they should be, so that they do not matter for a number that is there.
local function sound(init, init_ttl)
    if not init then
        return init_ttl == nil
    end
    return type(init) == "number" and (init_ttl == nil or type(init_ttl) == "number" and init_ttl >= 0)
end

function methods.incr(zone, key, value, init, init_ttl)
    if type(value) == "number" and type(key) == "string" and sound(init, init_ttl) then
        if C.mp_shdict_add_number(dict_of(zone, 3), key, #key, value, reply) ~= 0 then
            if not init then
                return reply.number
            end
            return reply.number, nil, false
        end
    end

    local dict, text, err = place(zone, key)
    if not text then
        return nil, err
    end
    if type(value) ~= "number" then
        value = tonumber(value)
    end
    reply.number = value   -- the FFI refuses what is no number
    if init then
        init = number_of(init, "init")
    end
    if init_ttl == nil then
        init_ttl = 0
    else
        init_ttl = number_of(init_ttl, "init_ttl")
        if init_ttl < 0 then
            error('bad "init_ttl" argument', 2)
        end
        if not init then
            error('must provide "init" when providing "init_ttl"', 2)
        end
    end

    local rc = C.mp_shdict_incr(dict, text, #text, value, init and 1 or 0, init or 0, init_ttl * 1000, reply)
    if rc ~= 0 then
        return nil, ffi_string(reply.error)
    end
    if not init then
        return reply.number
    end
    return reply.number, nil, reply.forcible == 1
end

function methods.ttl(zone, key)
    local dict, text, err = place(zone, key)
    if not text then
        return nil, err
    end
    if C.mp_shdict_ttl(dict, text, #text, reply) == DECLINED then
        return nil, "not found"
    end
    return reply.number / 1000
end

function methods.expire(zone, key, exptime)
    if not exptime then
        error('bad "exptime" argument', 2)
    end
    local dict, text, err = place(zone, key)
    if not text then
        return nil, err
    end
    if C.mp_shdict_expire(dict, text, #text, exptime * 1000) == DECLINED then
        return nil, "not found"
    end
    return true
end

function methods.flush_all(zone)
    C.mp_shdict_flush_all(dict_of(zone, 3))
end

function methods.capacity(zone)
    return C.mp_shdict_capacity(dict_of(zone, 3))
end

function methods.free_space(zone)
    return C.mp_shdict_free_space(dict_of(zone, 3))
end

-- ---- lists

-- A method that insists on its number of arguments.
local function counted(expected, method)
    return function(...)
        local n = select("#", ...)
        if n ~= expected then
            error("expecting " .. expected .. " arguments, but only seen " .. n, 2)
        end
        return method(...)
    end
end

local function pushing(name, right)
    return counted(3, function(zone, key, value)
        local dict, text, err = list_place(name, zone, key)
        if not text then
            return nil, err
        end
        local rc
        if type(value) == "string" then
            rc = C.mp_shdict_push(dict, right, text, #text, STRING, value, #value, 0, reply)
        elseif type(value) == "number" then
            rc = C.mp_shdict_push(dict, right, text, #text, NUMBER, nil, 0, value, reply)
        else
            return nil, "bad value type"
        end
        if rc == 0 then
            return tonumber(reply.size)
        end
        if reply.type == BOOLEAN then   -- a list that could not even be begun
            return false, ffi_string(reply.error)
        end
        return nil, ffi_string(reply.error)
    end)
end

local function popping(name, right)
    return counted(2, function(zone, key)
        local dict, text, err = list_place(name, zone, key)
        if not text then
            return nil, err
        end
        return fetch(C.mp_shdict_pop, dict, right, text)
    end)
end

methods.lpush = pushing("lpush", 0)
methods.rpush = pushing("rpush", 1)
methods.lpop = popping("lpop", 0)
methods.rpop = popping("rpop", 1)

methods.llen = counted(2, function(zone, key)
    local dict, text, err = list_place("llen", zone, key)
    if not text then
        return nil, err
    end
    if C.mp_shdict_llen(dict, text, #text, reply) ~= 0 then
        return nil, ffi_string(reply.error)
    end
    return tonumber(reply.size)
end)

-- The dictionary and the optional limit of flush_expired and get_keys.
local function bulk_arguments(name, default, ...)
    local n = select("#", ...)
    if n ~= 1 and n ~= 2 then
        error("expecting 1 or 2 argument(s), but saw " .. n, 3)
    end
    local zone, limit = ...
    if type(zone) ~= "table" then
        error("bad argument #1 to '" .. name .. "' (table expected, got " .. type(zone) .. ")", 3)
    end
    local dict = zone[1]
    if type(dict) ~= "cdata" then
        error("bad user data for the ngx_shm_zone_t pointer", 3)
    end
    if n == 1 then
        return dict, default
    end
    local number = tonumber(limit)
    if not number then
        error("bad argument #1 to '" .. name .. "' (number expected, got " .. type(limit) .. ")", 3)
    end
    return dict, number
end

function methods.flush_expired(...)
    local dict, limit = bulk_arguments("flush_expired", 0, ...)
    return C.mp_shdict_flush_expired(dict, limit)
end

local count_out = ffi_new("int[1]")

function methods.get_keys(...)
    local dict, limit = bulk_arguments("get_keys", 1024, ...)
    local packed = C.mp_shdict_keys(dict, limit, count_out)
    if packed == nil then
        error("no memory", 2)
    end
    packed = ffi.gc(packed, C.mp_shdict_free_keys)   -- strings below may fail to be made
    local keys = {}
    local at = ffi.cast("const unsigned char *", packed)
    for i = 1, count_out[0] do
        local size = at[0] + at[1] * 256
        keys[i] = ffi_string(at + 2, size)
        at = at + 2 + size
    end
    C.mp_shdict_free_keys(ffi.gc(packed, nil))
    return keys
end

return function(set)
    local shared = {}
    local name, size = ffi_new("const char *[1]"), ffi_new("size_t[1]")
    for i = 0, C.mp_shdict_count(set) - 1 do
        local dict = C.mp_shdict_at(set, i, name, size)
        if dict ~= nil then
            shared[ffi_string(name[0], size[0])] = setmetatable({ dict_type(dict) }, methods)
        end
    end
    return shared
end
