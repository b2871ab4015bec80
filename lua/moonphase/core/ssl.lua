-- What the modules of TLS handshakes share. `with_upstream` is 1 for the connection to the upstream server, 0 for the
-- client's.
local base = require "moonphase.core.base"

local ffi = require "ffi"
local C = base.C
local ffi_string = base.ffi_string
local errors = base.error_out
local refuse = base.refuse
local tonumber = tonumber

ffi.cdef [[
int mp_ssl_version(int with_upstream, const char **error);
int mp_ssl_clear_certs(int with_upstream, const char **error);
int mp_ssl_set_der_cert(int with_upstream, const char *data, size_t size, const char **error);
int mp_ssl_set_der_key(int with_upstream, const char *data, size_t size, const char **error);
int mp_ssl_set_cert(int with_upstream, void *chain, const char **error);
int mp_ssl_set_key(int with_upstream, void *key, const char **error);
int mp_ssl_raw_address(int of_server, mp_str *out, int *kind, const char **error);
int mp_ssl_server_port(const char **error);
int mp_ssl_server_name(mp_str *out, const char **error);
int mp_ssl_shared_ciphers(uint16_t *out, int room, int filter_grease, const char **error);
int mp_ssl_cert_pem_to_der(const char *pem, size_t size, char *out, const char **error);
int mp_ssl_key_pem_to_der(const char *pem, size_t size, const char *password, char *out, const char **error);
void *mp_ssl_parse_pem_cert(const char *pem, size_t size, const char **error);
void *mp_ssl_parse_der_cert(const char *der, size_t size, const char **error);
void mp_ssl_free_certs(void *chain);
void *mp_ssl_parse_pem_key(const char *pem, size_t size, const char **error);
void *mp_ssl_parse_der_key(const char *der, size_t size, const char **error);
void mp_ssl_free_key(void *key);
int mp_ssl_verify_client(void *clients, void *trusted, int depth, const char **error);
int mp_ssl_secret(int which, char *out, size_t *size, const char **error);
int mp_ssl_export(int early, char *out, size_t size, const char *label, size_t label_size, const char *data,
                  size_t data_size, int use_data, const char **error);
void *mp_ssl_pointer(int with_upstream, const char **error);
int mp_ssl_session_reused(const void *ssl);
int mp_ssl_hello_server_name(mp_str *out, const char **error);
int mp_ssl_hello_ext(unsigned type, mp_str *out, const char **error);
int mp_ssl_hello_ext_present(int *out, int room, const char **error);
int mp_ssl_hello_ciphers(uint16_t *out, int room, const char **error);
int mp_ssl_set_protocols(uint32_t protocols, const char **error);
int mp_ssl_session_id(mp_str *out, const char **error);
int mp_ssl_session_serialized(char *out, size_t room, const char **error);
int mp_ssl_set_session(const char *encoded, size_t size, const char **error);
int mp_ssl_set_verify_result(int result, const char **error);
int mp_ssl_get_verify_result(const char **error);
void *mp_ssl_get_verify_cert(const char **error);
void mp_ssl_free_cert(void *certificate);
]]

local _M = {}

-- nil and the error's text; raises for a call in the wrong place.
local function failure(rc)
    if rc <= base.NO_REQUEST then
        return refuse(rc)
    end
    return nil, ffi_string(errors[0])
end
_M.failure = failure

local function outcome(rc)
    if rc == 0 then
        return true
    end
    return failure(rc)
end
_M.outcome = outcome

-- The text that a function has left in base.str_out; nil when there is none.
function _M.text(rc)
    if rc == 0 then
        local out = base.str_out[0]
        return (ffi_string(out.data, out.size))
    end
    if rc == base.DECLINED then
        return nil
    end
    return failure(rc)
end

-- The list that a function has left in `out`; it has returned how long it is.
function _M.list(n, out)
    if n < 0 then
        return failure(n)
    end
    local list = base.new_table(n, 0)
    for i = 1, n do
        list[i] = tonumber(out[i - 1])
    end
    return list
end

local versions = {
    [0x0300] = "SSLv3",
    [0x0301] = "TLSv1",
    [0x0302] = "TLSv1.1",
    [0x0303] = "TLSv1.2",
    [0x0304] = "TLSv1.3",
}

-- The version constants and functions.
function _M.version_functions(with_upstream)
    local functions = {
        SSL3_VERSION = 0x0300,
        TLS1_VERSION = 0x0301,
        TLS1_1_VERSION = 0x0302,
        TLS1_2_VERSION = 0x0303,
        TLS1_3_VERSION = 0x0304,
    }

    function functions.get_tls1_version()
        local version = tonumber(C.mp_ssl_version(with_upstream, errors))
        if version >= 0 then
            return version
        end
        return failure(version)
    end

    function functions.get_tls1_version_str()
        local version, err = functions.get_tls1_version()
        if not version then
            return nil, err
        end
        local name = versions[version]
        if not name then
            return nil, "unknown version"
        end
        return name
    end

    return functions
end

-- The functions that set certificates and keys.
function _M.setters(with_upstream, functions)
    function functions.clear_certs()
        return outcome(C.mp_ssl_clear_certs(with_upstream, errors))
    end

    function functions.set_der_cert(data)
        return outcome(C.mp_ssl_set_der_cert(with_upstream, data, #data, errors))
    end

    function functions.set_der_priv_key(data)
        return outcome(C.mp_ssl_set_der_key(with_upstream, data, #data, errors))
    end

    function functions.set_cert(chain)
        return outcome(C.mp_ssl_set_cert(with_upstream, chain, errors))
    end

    function functions.set_priv_key(key)
        return outcome(C.mp_ssl_set_key(with_upstream, key, errors))
    end

    return functions
end

function _M.certificate_functions(with_upstream)
    return _M.setters(with_upstream, _M.version_functions(with_upstream))
end

return _M
