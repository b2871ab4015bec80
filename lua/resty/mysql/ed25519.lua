-- MariaDB's client_ed25519: an Ed25519 signature of the salt. The plugin takes SHA-512 of the password itself for
-- the expanded key, which libcrypto's Ed25519 does not offer. So the points are computed on the equivalent
-- curve in short Weierstrass form, which libcrypto does in constant time, and mapped back.

local ffi = require "ffi"
local crypto = require("resty.mysql.libcrypto").lib

local bit = require "bit"

local band = bit.band
local bor = bit.bor
local gc = ffi.gc
local string_of = ffi.string

local _M = {}

ffi.cdef[[
void *BN_new(void);
void BN_clear_free(void *a);
int BN_hex2bn(void **a, const char *str);
void *BN_lebin2bn(const unsigned char *s, int len, void *ret);
int BN_bn2lebinpad(const void *a, unsigned char *to, int tolen);
int BN_is_bit_set(const void *a, int n);
void *BN_CTX_new(void);
void BN_CTX_free(void *c);
int BN_nnmod(void *r, const void *m, const void *d, void *ctx);
int BN_mod_add(void *r, const void *a, const void *b, const void *m, void *ctx);
int BN_mod_sub(void *r, const void *a, const void *b, const void *m, void *ctx);
int BN_mod_mul(void *r, const void *a, const void *b, const void *m, void *ctx);
void *BN_mod_inverse(void *r, const void *a, const void *n, void *ctx);
void *EC_GROUP_new_curve_GFp(const void *p, const void *a, const void *b, void *ctx);
void EC_GROUP_free(void *group);
int EC_GROUP_set_generator(void *group, const void *generator, const void *order, const void *cofactor);
void *EC_POINT_new(const void *group);
void EC_POINT_free(void *point);
int EC_POINT_set_affine_coordinates(const void *group, void *p, const void *x, const void *y, void *ctx);
int EC_POINT_get_affine_coordinates(const void *group, const void *p, void *x, void *y, void *ctx);
int EC_POINT_mul(const void *group, void *r, const void *n, const void *q, const void *m, void *ctx);
]]


local function bn()
    return gc(crypto.BN_new(), crypto.BN_clear_free)
end


local function from_hex(hex)
    local n = ffi.new("void *[1]")
    crypto.BN_hex2bn(n, hex)
    return gc(n[0], crypto.BN_clear_free)
end


local function from_bytes(s)
    return gc(crypto.BN_lebin2bn(s, #s, nil), crypto.BN_clear_free)
end


local function to_bytes(n)
    local out = ffi.new("unsigned char[32]")
    crypto.BN_bn2lebinpad(n, out, 32)
    return out
end


local function sha512(s)
    local md = ffi.new("unsigned char[64]")
    crypto.SHA512(s, #s, md)
    return string_of(md, 64)
end


-- What does not depend on the password: the curve, and the constants of the map to its Edwards form.
local function new_curve()
    local c = {
        ctx = gc(crypto.BN_CTX_new(), crypto.BN_CTX_free),
        p = from_hex "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed",
        order = from_hex "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed",
        one = from_hex "1",
        shift = from_hex "2aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaad2451",  -- 486662 / 3
        scale = from_hex "70d9120b9f5ff9442d84f723fc03b0813a5e2c2eb482e57d3391fb5500ba81e7",  -- sqrt(-486664)
    }
    local a = from_hex "2aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa984914a144"
    local b = from_hex "7b425ed097b425ed097b425ed097b425ed097b425ed097b4260b5e9c7710c864"
    local x = from_hex "2aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaad245a"
    local y = from_hex "20ae19a1b8a086b4e01edd2c7748d14c923d4d7e6d7c61b229e9c5a27eced3d9"

    c.group = gc(crypto.EC_GROUP_new_curve_GFp(c.p, a, b, c.ctx), crypto.EC_GROUP_free)
    local base = gc(crypto.EC_POINT_new(c.group), crypto.EC_POINT_free)
    crypto.EC_POINT_set_affine_coordinates(c.group, base, x, y, c.ctx)
    crypto.EC_GROUP_set_generator(c.group, base, c.order, from_hex "8")
    return c
end


-- The multiple of the base point by scalar, encoded: y, and the parity of x in the top bit.
local function base_times(c, scalar)
    local point = gc(crypto.EC_POINT_new(c.group), crypto.EC_POINT_free)
    local x, y, t = bn(), bn(), bn()
    crypto.EC_POINT_mul(c.group, point, scalar, nil, nil, c.ctx)
    crypto.EC_POINT_get_affine_coordinates(c.group, point, x, y, c.ctx)

    local p, ctx = c.p, c.ctx
    local u = x
    crypto.BN_mod_sub(u, x, c.shift, p, ctx)

    -- Edwards x = scale * u / v, where v is the Weierstrass y
    crypto.BN_mod_inverse(t, y, p, ctx)
    crypto.BN_mod_mul(t, t, u, p, ctx)
    crypto.BN_mod_mul(t, t, c.scale, p, ctx)
    local odd = crypto.BN_is_bit_set(t, 0) == 1

    -- Edwards y = (u - 1) / (u + 1)
    crypto.BN_mod_add(t, u, c.one, p, ctx)
    crypto.BN_mod_inverse(t, t, p, ctx)
    crypto.BN_mod_sub(u, u, c.one, p, ctx)
    crypto.BN_mod_mul(t, t, u, p, ctx)

    local out = to_bytes(t)
    if odd then
        out[31] = bor(out[31], 0x80)
    end
    return string_of(out, 32)
end


local curve

-- The answer to the server's salt: 64 bytes, or nil and an error.
function _M.sign(password, salt)
    if not crypto then
        return nil, "client_ed25519 needs libcrypto"
    end
    curve = curve or new_curve()
    local order, ctx = curve.order, curve.ctx

    local expanded = sha512(password)
    local key = ffi.new("unsigned char[33]", expanded:sub(1, 32))
    key[0] = band(key[0], 0xf8)
    key[31] = bor(band(key[31], 0x3f), 0x40)
    local s = from_bytes(string_of(key, 32))

    local r = from_bytes(sha512(expanded:sub(33) .. salt))
    crypto.BN_nnmod(r, r, order, ctx)
    local r_point = base_times(curve, r)

    local k = from_bytes(sha512(r_point .. base_times(curve, s) .. salt))
    crypto.BN_mod_mul(k, k, s, order, ctx)
    crypto.BN_mod_add(k, k, r, order, ctx)
    return r_point .. string_of(to_bytes(k), 32)
end


return _M
