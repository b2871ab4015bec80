-- The MySQL login: greeting, TLS, authentication plugins. Runs under packet.protected.

local auth = require "resty.mysql.auth"
local bit = require "bit"
local packet = require "resty.mysql.packet"

local bad = packet.bad
local band = bit.band
local bor = bit.bor
local byte = string.byte
local char = string.char
local cstring = packet.cstring
local find = string.find
local le32 = packet.le32
local parse_err = packet.parse_err
local read_packet = packet.read_packet
local rep = string.rep
local send_packet = packet.send_packet
local sub = string.sub
local u16 = packet.u16

local CLIENT_SSL = 0x800
local CLIENT_PROTOCOL_41 = 0x200
local CLIENT_SECURE_CONNECTION = 0x8000
local CLIENT_PLUGIN_AUTH = 0x80000
-- No LOCAL_FILES: with it any server could ask for a file of ours. FOUND_ROWS and IGNORE_SPACE change what
-- affected_rows counts and how "count (*)" parses; applications written for the module of this name rely on them.
local CLIENT_FLAGS = bor(
    0x1,  -- LONG_PASSWORD
    0x2,  -- FOUND_ROWS
    0x4,  -- LONG_FLAG
    0x8,  -- CONNECT_WITH_DB
    0x100,  -- IGNORE_SPACE
    CLIENT_PROTOCOL_41,
    0x2000,  -- TRANSACTIONS
    CLIENT_SECURE_CONNECTION,
    0x10000,  -- MULTI_STATEMENTS
    0x20000,  -- MULTI_RESULTS
    CLIENT_PLUGIN_AUTH)

-- name of a character set -> number of its default collation
local CHARSETS = {
    big5 = 1, dec8 = 3, cp850 = 4, hp8 = 6, koi8r = 7, latin1 = 8, latin2 = 9, swe7 = 10, ascii = 11,
    ujis = 12, sjis = 13, hebrew = 16, tis620 = 18, euckr = 19, koi8u = 22, gb2312 = 24, greek = 25,
    cp1250 = 26, gbk = 28, latin5 = 30, armscii8 = 32, utf8 = 33, utf8mb3 = 33, ucs2 = 35, cp866 = 36,
    keybcs2 = 37, macce = 38, macroman = 39, cp852 = 40, latin7 = 41, utf8mb4 = 45, cp1251 = 51, utf16 = 54,
    utf16le = 56, cp1256 = 57, cp1257 = 59, utf32 = 60, binary = 63, geostd8 = 92, cp932 = 95, eucjpms = 97,
    gb18030 = 248,
}


-- The server's greeting: a table of what the client needs of it.
local function parse_greeting(s, i, last)
    local version = byte(s, i)
    if version ~= 10 then
        bad("protocol version " .. version .. " is not supported")
    end

    local g = {}
    g.version, i = cstring(s, i + 1, last)
    if last - i + 1 < 4 + 8 + 1 + 2 then
        bad("truncated greeting")
    end
    local salt = sub(s, i + 4, i + 11)
    local caps = u16(s, i + 13)
    i = i + 15
    if last - i + 1 < 1 + 2 + 2 + 1 + 10 + 13 then
        bad("truncated greeting")
    end
    caps = caps + u16(s, i + 3) * 0x10000
    local salt_size = byte(s, i + 5)
    i = i + 16

    if band(caps, CLIENT_PROTOCOL_41) == 0 or band(caps, CLIENT_SECURE_CONNECTION) == 0 then
        bad("the server is too old")
    end

    -- the second part of the salt ends with a zero byte
    local rest = salt_size > 21 and salt_size - 8 or 13
    if rest > last - i + 1 then
        bad("truncated greeting")
    end
    g.salt = salt .. sub(s, i, i + rest - 2)
    i = i + rest
    g.caps = caps
    g.plugin = "mysql_native_password"
    if band(caps, CLIENT_PLUGIN_AUTH) ~= 0 and i <= last then
        -- some servers leave out the final zero
        local e = find(s, "\0", i, true)
        g.plugin = sub(s, i, e and e <= last and e - 1 or last)
    end
    return g
end


-- Starts TLS on the connection. Bytes that came before the handshake would be taken for protected ones.
local function start_tls(self, opts, flags, charset)
    if self.pos <= #self.buf then
        bad("data before the TLS handshake")
    end

    local bytes, err = send_packet(self, "", le32(flags) .. le32(self.max_packet_size) .. char(charset)
                                             .. rep("\0", 23))
    if not bytes then
        return nil, "failed to send the TLS request: " .. (err or "unknown")
    end

    -- An address is not a name that a certificate could be checked against.
    local name = opts.host
    if name and (find(name, ":", 1, true) or not find(name, "[^%d.]")) then
        name = nil
    end
    local session
    session, err = self.sock:sslhandshake(false, name, opts.ssl_verify and true or false)
    if not session then
        return nil, "failed to do ssl handshake: " .. (err or "unknown")
    end
    return true
end


-- The password, in the way in which the server asks for it when it does not know its hash yet.
local function full_auth(self, login, answer)
    local salt, password = login.salt, login.password

    if login.plugin == "caching_sha2_password" and answer == "\4" then
        if login.secure then
            return send_packet(self, password, "\0")
        end
        return send_packet(self, "\2", "")  -- the request for the public key
    end

    if find(answer, "-----BEGIN", 1, true) ~= 1 then
        bad("unexpected authentication data")
    end
    if login.plugin ~= "caching_sha2_password" and login.plugin ~= "sha256_password" then
        bad("unexpected public key")
    end
    local encrypted, err = auth.encrypt(answer, password, salt)
    if not encrypted then
        return nil, err
    end
    return send_packet(self, encrypted, "")
end


-- The request of the server to use another plugin: answers it.
local function switch_plugin(self, login, s, i, last)
    if i == last then
        return nil, "auth plugin mysql_old_password is not supported"
    end
    local salt
    login.plugin, i = cstring(s, i + 1, last)
    salt = sub(s, i, last)
    if byte(salt, -1) == 0 and not auth.salt_ok(login.plugin, salt) then
        salt = sub(salt, 1, -2)
    end
    login.salt = salt

    local token, err = auth.token(login.plugin, login.password, salt, login.tls)
    if not token then
        return nil, err
    end
    if not auth.salt_ok(login.plugin, salt) then
        bad("salt of the wrong length")
    end
    return send_packet(self, token, "")
end


-- Talks until the server lets us in. Returns true, or nil and the error.
local function authenticate(self, login)
    for _ = 1, 8 do
        local s, i, last = read_packet(self)
        local kind = byte(s, i)
        local sent, err = true, nil

        if kind == 0 then
            return true
        elseif kind == 0xff then
            return nil, parse_err(s, i, last)
        elseif kind == 0xfe then
            if login.switched then
                bad("second request to switch the auth plugin")
            end
            login.switched = true
            sent, err = switch_plugin(self, login, s, i, last)
        elseif kind == 1 then
            local answer = sub(s, i + 1, last)
            if answer ~= "\3" or login.plugin ~= "caching_sha2_password" then  -- 3: the cached hash was right
                sent, err = full_auth(self, login, answer)
            end
        else
            bad("unexpected answer to the login")
        end

        if not sent then
            return nil, err or "failed to send client authentication packet"
        end
    end
    bad("too many packets in the handshake")
end


-- Logs in on a fresh connection. Returns true, or nil, error, error number, SQL state.
local function handshake(self, opts, charset)
    local s, i, last = read_packet(self)
    if byte(s, i) == 0xff then
        return nil, parse_err(s, i, last)
    end

    local greeting = parse_greeting(s, i, last)
    self.version = greeting.version

    local flags = CLIENT_FLAGS
    if band(greeting.caps, CLIENT_PLUGIN_AUTH) == 0 then
        flags = flags - CLIENT_PLUGIN_AUTH
    end

    if opts.ssl then
        if band(greeting.caps, CLIENT_SSL) == 0 then
            return nil, "ssl disabled on server"
        end
        flags = bor(flags, CLIENT_SSL)
        local started, err = start_tls(self, opts, flags, charset)
        if not started then
            return nil, err
        end
    end

    local login = {
        plugin = greeting.plugin,
        salt = greeting.salt,
        password = opts.password or "",
        tls = opts.ssl,
        secure = opts.ssl or opts.path,
    }
    local token = auth.token(login.plugin, login.password, login.salt, login.tls)
    if not token or not auth.salt_ok(login.plugin, login.salt) then
        -- The account's own plugin may well be another one: let the server ask for it.
        login.plugin = "mysql_native_password"
        token = auth.token(login.plugin, login.password, login.salt, login.tls)
    end

    local response = le32(flags) .. le32(self.max_packet_size) .. char(charset) .. rep("\0", 23)
                   .. (opts.user or "") .. "\0" .. char(#token) .. token .. (opts.database or "") .. "\0"
    if band(flags, CLIENT_PLUGIN_AUTH) ~= 0 then
        response = response .. login.plugin .. "\0"
    end
    local bytes, err = send_packet(self, response, "")
    if not bytes then
        return nil, "failed to send client authentication packet: " .. (err or "unknown")
    end

    return authenticate(self, login)
end


return {
    CHARSETS = CHARSETS,
    run = handshake,
}
