-- A MySQL and MariaDB client on cosockets: the text protocol, with the API of OpenResty's module of this name.
--
-- Replies are read in large pieces into one buffer and taken apart there, so a result of a thousand rows costs
-- a few reads and not two thousand. Whatever the server sends is checked against the bounds of its packet; a
-- reply that does not fit is "bad packet: ..." and leaves the connection in a state in which set_keepalive
-- refuses it, as does every failed read or write. An error that the server reports leaves it usable.

local bit = require "bit"
local handshake = require "resty.mysql.handshake"
local packet = require "resty.mysql.packet"

local bad = packet.bad
local band = bit.band
local byte = string.byte
local eof_status = packet.eof_status
local is_eof = packet.is_eof
local lenenc = packet.lenenc
local lenenc_bounds = packet.lenenc_bounds
local lenenc_int = packet.lenenc_int
local lower = string.lower
local new_tab = require "table.new"
local null = ngx.null
local parse_err = packet.parse_err
local parse_ok = packet.parse_ok
local protected = packet.protected
local read_packet = packet.read_packet
local send_packet = packet.send_packet
local setmetatable = setmetatable
local sub = string.sub
local tcp = ngx.socket.tcp
local tonumber = tonumber

local _M = { _VERSION = "1.0" }
local mt = { __index = _M }

-- states; the numbers are part of error texts
local CONNECTED = 1
local COMMAND_SENT = 2

local COM_QUIT = "\1"
local COM_QUERY = "\3"

local SERVER_MORE_RESULTS_EXISTS = 8

local DEFAULT_MAX_PACKET_SIZE = 1024 * 1024
local MAX_COLUMNS = 65535

-- Column types that become Lua numbers. BIGINT (8) stays a string: a double has no room for all of its values.
local CONVERTERS = {
    [0x00] = tonumber,  -- DECIMAL
    [0x01] = tonumber,  -- TINYINT
    [0x02] = tonumber,  -- SMALLINT
    [0x03] = tonumber,  -- INT
    [0x04] = tonumber,  -- FLOAT
    [0x05] = tonumber,  -- DOUBLE
    [0x09] = tonumber,  -- MEDIUMINT
    [0x0d] = tonumber,  -- YEAR
    [0xf6] = tonumber,  -- NEWDECIMAL
}


-- Results

-- The name and converter of one column.
local function read_column(self)
    local s, i, last = read_packet(self)
    if byte(s, i) == 0xff then
        return nil, parse_err(s, i, last)
    end

    for _ = 1, 4 do  -- catalog, schema, table, original table
        i = lenenc_bounds(s, i, last)
    end
    local b, e
    i, b, e = lenenc_bounds(s, i, last)
    local name = sub(s, b, e)
    i = lenenc_bounds(s, i, last)  -- original name

    -- a length of 12, the character set (2), the display length (4), the type
    if last - i < 7 then
        bad("truncated")
    end
    return name, CONVERTERS[byte(s, i + 7)] or false
end


local function parse_row(s, i, last, names, converters, ncols, compact)
    local row = compact and new_tab(ncols, 0) or new_tab(0, ncols)
    for c = 1, ncols do
        local value
        -- the common case, in line: a string of less than 251 bytes
        local n = i <= last and byte(s, i) or bad("truncated")
        if n < 251 then
            i = i + 1
        else
            n, i = lenenc(s, i, last)
        end

        if not n then
            value = null
        else
            if n > last - i + 1 then
                bad("truncated")
            end
            value = sub(s, i, i + n - 1)
            i = i + n
            local convert = converters[c]
            if convert then
                value = convert(value)
            end
        end
        row[compact and c or names[c]] = value
    end
    if i <= last then
        bad("trailing data in a row")
    end
    return row
end


local function read_rows(self, ncols, est_nrows)
    local names, converters = {}, {}
    for c = 1, ncols do
        local name, convert, errno, sqlstate = read_column(self)
        if not name then
            self.state = CONNECTED
            return nil, convert, errno, sqlstate
        end
        names[c], converters[c] = name, convert
    end
    local s, i, last = read_packet(self)
    if not is_eof(s, i, last) then
        bad("no end of the column list")
    end

    local compact = self.compact
    local rows = new_tab(est_nrows or 4, 0)
    local count = 0
    while true do
        s, i, last = read_packet(self)
        local kind = byte(s, i)
        if kind == 0xff then
            self.state = CONNECTED
            return nil, parse_err(s, i, last)
        end
        if kind == 0xfe and is_eof(s, i, last) then
            if band(eof_status(s, i, last), SERVER_MORE_RESULTS_EXISTS) ~= 0 then
                return rows, "again"
            end
            self.state = CONNECTED
            return rows
        end
        count = count + 1
        rows[count] = parse_row(s, i, last, names, converters, ncols, compact)
    end
end


local function read_result(self, est_nrows)
    local s, i, last = read_packet(self)
    local kind = byte(s, i)

    if kind == 0 then
        local res = parse_ok(s, i, last)
        if band(res.server_status, SERVER_MORE_RESULTS_EXISTS) ~= 0 then
            return res, "again"
        end
        self.state = CONNECTED
        return res
    end
    if kind == 0xff then
        self.state = CONNECTED
        return nil, parse_err(s, i, last)
    end
    if kind == 0xfb or is_eof(s, i, last) then  -- 0xfb: the request for a local file
        bad("unexpected type " .. kind)
    end

    local ncols, after = lenenc_int(s, i, last)
    if after <= last or ncols < 1 or ncols > MAX_COLUMNS then
        bad("column count")
    end
    return read_rows(self, ncols, est_nrows)
end


-- Interface

-- A new, unconnected object; nil and an error where there are no cosockets.
function _M.new(_)
    local sock, err = tcp()
    if not sock then
        return nil, err
    end
    return setmetatable({ sock = sock, buf = "", pos = 1, seq = 0 }, mt)
end


-- In milliseconds, for every later operation.
function _M.set_timeout(self, timeout)
    local sock = self.sock
    if not sock then
        return nil, "not initialized"
    end
    return sock:settimeout(timeout)
end


local function default_pool(opts)
    local pool = (opts.user or "") .. ":" .. (opts.database or "") .. ":"
    if opts.path then
        pool = pool .. opts.path
    else
        pool = pool .. opts.host .. ":" .. (opts.port or 3306)
    end
    -- A caller that asks for TLS must not be handed a plain connection.
    if opts.ssl then
        pool = pool .. (opts.ssl_verify and ":ssl_verify" or ":ssl")
    end
    return pool
end


local function socket_connect(sock, opts)
    local pool_opts = {
        pool = opts.pool or default_pool(opts),
        pool_size = opts.pool_size,
        backlog = opts.backlog,
    }
    if opts.path then
        return sock:connect("unix:" .. opts.path, pool_opts)
    end
    return sock:connect(opts.host, opts.port or 3306, pool_opts)
end


-- Connects, from the pool if it can, and logs in. Returns 1, or nil, error, error number, SQL state.
-- Options: host, port, path, database, user, password, charset, max_packet_size, pool, pool_size, backlog, ssl,
-- ssl_verify, compact_arrays.
function _M.connect(self, opts)
    local sock = self.sock
    if not sock then
        return nil, "not initialized"
    end
    if not opts.host and not opts.path then
        return nil, 'neither "host" nor "path" options are specified'
    end

    local charset = 0  -- the server's default
    if opts.charset then
        charset = handshake.CHARSETS[lower(opts.charset)]
        if not charset then
            return nil, "charset '" .. opts.charset .. "' is not supported"
        end
    end

    self.max_packet_size = opts.max_packet_size or DEFAULT_MAX_PACKET_SIZE
    self.compact = opts.compact_arrays
    self.state = nil
    self.version = nil
    self.buf, self.pos, self.seq = "", 1, 0

    local connected, err = socket_connect(sock, opts)
    if not connected then
        return nil, "failed to connect: " .. (err or "unknown")
    end

    local reused = sock:getreusedtimes()
    if reused and reused > 0 then
        self.state = CONNECTED
        return 1
    end

    local errno, sqlstate
    connected, err, errno, sqlstate = protected(handshake.run, self, opts, charset)
    if not connected then
        return nil, err, errno, sqlstate
    end
    self.state = CONNECTED
    return 1
end


-- Puts the connection into the pool. Arguments: idle timeout in milliseconds, pool size.
function _M.set_keepalive(self, ...)
    local sock = self.sock
    if not sock then
        return nil, "not initialized"
    end
    if self.state ~= CONNECTED then
        return nil, "cannot be reused in the current connection state: " .. (self.state or "nil")
    end
    if self.pos <= #self.buf then
        return nil, "unread data in buffer"
    end
    self.state = nil
    return sock:setkeepalive(...)
end


function _M.get_reused_times(self)
    local sock = self.sock
    if not sock then
        return nil, "not initialized"
    end
    return sock:getreusedtimes()
end


function _M.close(self)
    local sock = self.sock
    if not sock then
        return nil, "not initialized"
    end
    if self.state == CONNECTED then
        self.seq = 0
        send_packet(self, COM_QUIT, "")  -- the server does not answer
    end
    self.state = nil
    return sock:close()
end


-- The server's version; nil before connect and on a connection that came from the pool.
function _M.server_ver(self)
    return self.version
end


-- Sends a statement (or several, separated by semicolons). Returns the number of bytes sent.
function _M.send_query(self, query)
    local sock = self.sock
    if not sock then
        return nil, "not initialized"
    end
    if self.state ~= CONNECTED then
        return nil, "cannot send query in the current context: " .. (self.state or "nil")
    end

    self.seq = 0
    self.state = COMMAND_SENT
    return send_packet(self, COM_QUERY, query)
end


-- Reads one result: a list of rows, or for other statements a table with affected_rows, insert_id,
-- server_status, warning_count and message. "again" as second value says that another result follows.
-- On failure nil, error, error number, SQL state. est_nrows: about how many rows to make room for.
function _M.read_result(self, est_nrows)
    local sock = self.sock
    if not sock then
        return nil, "not initialized"
    end
    if self.state ~= COMMAND_SENT then
        return nil, "cannot read result in the current context: " .. (self.state or "nil")
    end
    return protected(read_result, self, est_nrows)
end


-- send_query and the first read_result.
function _M.query(self, query, est_nrows)
    local bytes, err = self:send_query(query)
    if not bytes then
        return nil, "failed to send query: " .. (err or "unknown")
    end
    return self:read_result(est_nrows)
end


-- Rows as arrays of values in the order of the columns, or as tables by column name.
function _M.set_compact_arrays(self, value)
    self.compact = value
end


return _M
