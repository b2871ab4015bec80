-- How resty.mysql proves that it knows the password. One function per authentication plugin of the server;
-- none of them waits or touches a socket. The hashes and the RSA encryption are libcrypto's.

local bit = require "bit"
local ffi = require "ffi"

local bxor = bit.bxor
local byte = string.byte
local char = string.char
local concat = table.concat
local crypto = require("resty.mysql.libcrypto").lib
local ed25519 = require "resty.mysql.ed25519"
local sha1 = ngx.sha1_bin

local _M = {}

ffi.cdef[[
void *BIO_new_mem_buf(const void *buf, int len);
int BIO_free(void *bio);
void *PEM_read_bio_PUBKEY(void *bio, void **key, void *callback, void *arg);
void EVP_PKEY_free(void *key);
void *EVP_PKEY_CTX_new(void *key, void *engine);
void EVP_PKEY_CTX_free(void *ctx);
int EVP_PKEY_encrypt_init(void *ctx);
int EVP_PKEY_CTX_ctrl(void *ctx, int keytype, int optype, int cmd, int p1, void *p2);
int EVP_PKEY_encrypt(void *ctx, unsigned char *out, size_t *outlen, const unsigned char *in, size_t inlen);
void ERR_clear_error(void);
]]

local EVP_PKEY_RSA = 6
local EVP_PKEY_CTRL_RSA_PADDING = 0x1001
local RSA_PKCS1_OAEP_PADDING = 4


local function sha256(s)
    local md = ffi.new("unsigned char[32]")
    crypto.SHA256(s, #s, md)
    return ffi.string(md, 32)
end


-- XOR of a with b, b being repeated to a's length
local function xor(a, b)
    local out = {}
    local n = #b
    for i = 1, #a do
        out[i] = char(bxor(byte(a, i), byte(b, (i - 1) % n + 1)))
    end
    return concat(out)
end


local function mysql_native_password(password, salt)
    if password == "" then
        return ""
    end
    local stage1 = sha1(password)
    return xor(stage1, sha1(salt .. sha1(stage1)))
end


local function caching_sha2_password(password, salt)
    if password == "" then
        return ""
    end
    if not crypto then
        return nil, "caching_sha2_password needs libcrypto"
    end
    local stage1 = sha256(password)
    return xor(stage1, sha256(sha256(stage1) .. salt))
end


-- Under TLS the password itself, otherwise the request for the server's public key. (This plugin does not
-- trust a unix domain socket.)
local function sha256_password(password, _, tls)
    if password == "" then
        return "\0"
    end
    return tls and password .. "\0" or "\1"
end


local plugins = {
    mysql_native_password = mysql_native_password,
    caching_sha2_password = caching_sha2_password,
    sha256_password = sha256_password,
    client_ed25519 = ed25519.sign,
}


-- The first answer to `plugin`'s challenge; nil and an error text for a plugin that is not known.
-- `tls` says that the connection is encrypted.
function _M.token(plugin, password, salt, tls)
    local answer = plugins[plugin]
    if not answer then
        return nil, "auth plugin " .. plugin .. " is not supported"
    end
    return answer(password, salt, tls)
end


-- Whether the challenge of `plugin` came with what its answer is made from.
function _M.salt_ok(plugin, salt)
    if plugin == "client_ed25519" then
        return #salt == 32
    end
    return #salt == 20
end


local function encrypt_with(key, plain)
    local ctx = crypto.EVP_PKEY_CTX_new(key, nil)
    if ctx == nil then
        return nil
    end
    ctx = ffi.gc(ctx, crypto.EVP_PKEY_CTX_free)

    if crypto.EVP_PKEY_encrypt_init(ctx) <= 0
        or crypto.EVP_PKEY_CTX_ctrl(ctx, EVP_PKEY_RSA, -1, EVP_PKEY_CTRL_RSA_PADDING,
                                    RSA_PKCS1_OAEP_PADDING, nil) <= 0
    then
        return nil
    end

    local len = ffi.new("size_t[1]")
    if crypto.EVP_PKEY_encrypt(ctx, nil, len, plain, #plain) <= 0 then
        return nil
    end
    local out = ffi.new("unsigned char[?]", len[0])
    if crypto.EVP_PKEY_encrypt(ctx, out, len, plain, #plain) <= 0 then
        return nil
    end
    return ffi.string(out, len[0])
end


-- The password for a server that asked for it whole on a connection that others can read: scrambled with the
-- salt and encrypted (RSA-OAEP) for the owner of the public key `pem`.
function _M.encrypt(pem, password, salt)
    if not crypto then
        return nil, "RSA encryption of the password needs libcrypto"
    end

    local bio = crypto.BIO_new_mem_buf(pem, #pem)
    if bio == nil then
        return nil, "no memory"
    end
    local key = crypto.PEM_read_bio_PUBKEY(bio, nil, nil, nil)
    crypto.BIO_free(bio)

    local out
    if key ~= nil then
        out = encrypt_with(ffi.gc(key, crypto.EVP_PKEY_free), xor(password .. "\0", salt))
    end
    if not out then
        crypto.ERR_clear_error()
        return nil, "bad public key from the server"
    end
    return out
end


return _M
