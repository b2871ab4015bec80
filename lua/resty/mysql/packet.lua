-- The packets of the MySQL protocol: reading them off a cosocket, sending them, and the pieces they are made of.
-- Used by resty.mysql and resty.mysql.handshake; `self` is the connection object of resty.mysql, of which this
-- module owns sock (the cosocket), buf and pos (what was read and where the next packet starts), seq (the number
-- that the next packet must have) and reads max_packet_size.

local bit = require "bit"

local band = bit.band
local byte = string.byte
local char = string.char
local concat = table.concat
local error = error
local find = string.find
local getmetatable = getmetatable
local new_tab = require "table.new"
local pcall = pcall
local rshift = bit.rshift
local setmetatable = setmetatable
local sub = string.sub
local type = type

local MAX_PAYLOAD = 0xffffff  -- of one packet; a longer payload goes on in the next
local READ_SIZE = 65536


-- Integers. The callers have checked that the bytes are there.

local function u16(s, i)
    local a, b = byte(s, i, i + 1)
    return a + b * 0x100
end


local function u24(s, i)
    local a, b, c = byte(s, i, i + 2)
    return a + b * 0x100 + c * 0x10000
end


local function u32(s, i)
    return u24(s, i) + byte(s, i + 3) * 0x1000000
end


local function le24(n)
    return char(band(n, 0xff), band(rshift(n, 8), 0xff), band(rshift(n, 16), 0xff))
end


local function le32(n)
    return le24(n) .. char(band(rshift(n, 24), 0xff))
end


-- Packets are read through (s, i, last): the buffer, the next position, the packet's last position.
-- Readers below raise BadPacket, which protected() turns into a returned error.

local BadPacket = {}


local function bad(what)
    error(setmetatable({ "bad packet: " .. what }, BadPacket))
end


-- A length-encoded integer: its value (nil for NULL) and the position after it.
local function lenenc(s, i, last)
    if i > last then
        bad("truncated")
    end

    local first = byte(s, i)
    if first < 251 then
        return first, i + 1
    end
    if first == 251 then
        return nil, i + 1
    end

    local width = first == 252 and 2 or first == 253 and 3 or first == 254 and 8
    if not width or i + width > last then
        bad("truncated")
    end
    if width == 2 then
        return u16(s, i + 1), i + 3
    end
    if width == 3 then
        return u24(s, i + 1), i + 4
    end
    return u32(s, i + 1) + u32(s, i + 5) * 0x100000000, i + 9
end


-- The same for an integer that cannot be NULL.
local function lenenc_int(s, i, last)
    local n
    n, i = lenenc(s, i, last)
    if not n then
        bad("NULL for a number")
    end
    return n, i
end


-- The position after a length-encoded string that starts at i, and the string's own bounds.
local function lenenc_bounds(s, i, last)
    local n
    n, i = lenenc_int(s, i, last)
    if n > last - i + 1 then
        bad("truncated")
    end
    return i + n, i, i + n - 1
end


local function cstring(s, i, last)
    local e = find(s, "\0", i, true)
    if not e or e > last then
        bad("unterminated string")
    end
    return sub(s, i, e - 1), e + 1
end


-- Input buffer

local function read_failed(err)
    error(setmetatable({ "failed to receive the packet: " .. (err or "unknown") }, BadPacket))
end


-- Makes n bytes available from self.pos on.
local function need(self, n)
    local have = #self.buf - self.pos + 1
    if have >= n then
        return
    end

    local sock = self.sock
    local parts = { sub(self.buf, self.pos) }
    local count = 1
    self.buf, self.pos = "", 1

    while have < n do
        local data, err
        if n - have >= READ_SIZE then
            data, err = sock:receive(n - have)
        else
            data, err = sock:receiveany(READ_SIZE)
        end
        if not data then
            read_failed(err)
        end
        count = count + 1
        parts[count] = data
        have = have + #data
    end
    self.buf = concat(parts)
end


-- One frame: its bounds in self.buf.
local function read_frame(self)
    need(self, 4)
    local i = self.pos
    local len = u24(self.buf, i)
    local seq = byte(self.buf, i + 3)
    self.pos = i + 4

    if len > self.max_packet_size then
        error(setmetatable({ "packet size too big: " .. len }, BadPacket))
    end
    need(self, len)

    local first = self.pos
    -- An error may come out of turn: a server that closes an idle connection says so before any command.
    if seq ~= self.seq and byte(self.buf, first) ~= 0xff then
        bad("out of order")
    end
    self.seq = band(seq + 1, 0xff)
    self.pos = first + len
    return first, first + len - 1
end


-- One packet, however many frames it came in: a buffer and the packet's bounds in it.
local function read_packet(self)
    local first, last = read_frame(self)
    local s = self.buf
    if last - first + 1 < MAX_PAYLOAD then
        if first > last then
            bad("empty")
        end
        return s, first, last
    end

    local parts = { sub(s, first, last) }
    local total = MAX_PAYLOAD
    repeat
        first, last = read_frame(self)
        local len = last - first + 1
        total = total + len
        if total > self.max_packet_size then
            error(setmetatable({ "packet size too big: " .. total }, BadPacket))
        end
        parts[#parts + 1] = sub(self.buf, first, last)
    until len < MAX_PAYLOAD
    return concat(parts), 1, total
end


-- Sends one payload, given as a prefix of at most a few bytes and a body. Returns the number of bytes sent.
local function send_packet(self, prefix, body)
    local sock = self.sock
    local size = #prefix + #body

    if size < MAX_PAYLOAD then
        local seq = self.seq
        self.seq = band(seq + 1, 0xff)
        return sock:send { le24(size), char(seq), prefix, body }
    end

    local payload = prefix .. body
    local sent = 0
    local at = 1
    repeat
        local piece = sub(payload, at, at + MAX_PAYLOAD - 1)
        local bytes, err = sock:send { le24(#piece), char(self.seq), piece }
        if not bytes then
            return nil, err
        end
        self.seq = band(self.seq + 1, 0xff)
        at = at + MAX_PAYLOAD
        sent = sent + bytes
    until #piece < MAX_PAYLOAD
    return sent
end


-- Runs f(self, ...); what the readers raise comes back as nil and its text. The cosocket calls inside may wait.
local function protected(f, self, ...)
    local good, a, b, c, d = pcall(f, self, ...)
    if good then
        return a, b, c, d
    end
    if type(a) == "table" and getmetatable(a) == BadPacket then
        return nil, a[1]
    end
    error(a, 0)
end


-- An ERR packet: message, number, SQL state (nil when the server gave none).
local function parse_err(s, i, last)
    if last - i < 2 then
        bad("truncated error")
    end
    local errno = u16(s, i + 1)
    i = i + 3
    local sqlstate
    if i + 5 <= last and byte(s, i) == 35 then  -- '#'
        sqlstate = sub(s, i + 1, i + 5)
        i = i + 6
    end
    return sub(s, i, last), errno, sqlstate
end


local function parse_ok(s, i, last)
    local res = new_tab(0, 5)
    i = i + 1
    res.affected_rows, i = lenenc_int(s, i, last)
    res.insert_id, i = lenenc_int(s, i, last)
    if last - i < 3 then
        bad("truncated")
    end
    res.server_status = u16(s, i)
    res.warning_count = u16(s, i + 2)
    i = i + 4
    if i < last then
        -- with its length in front, or, from some proxies, without it
        local n, after = lenenc(s, i, last)
        res.message = sub(s, n == last - after + 1 and after or i, last)
    end
    return res
end


local function is_eof(s, i, last)
    return byte(s, i) == 0xfe and last - i < 8
end


-- The server's status flags from an EOF packet.
local function eof_status(s, i, last)
    if last - i < 4 then
        bad("truncated")
    end
    return u16(s, i + 3)
end


return {
    bad = bad,
    cstring = cstring,
    eof_status = eof_status,
    is_eof = is_eof,
    le32 = le32,
    lenenc = lenenc,
    lenenc_bounds = lenenc_bounds,
    lenenc_int = lenenc_int,
    parse_err = parse_err,
    parse_ok = parse_ok,
    protected = protected,
    read_packet = read_packet,
    send_packet = send_packet,
    u16 = u16,
}
