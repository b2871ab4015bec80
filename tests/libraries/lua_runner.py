"""A web server that runs the Lua chunk it is sent and answers what the chunk returns, as JSON."""

import json

from servers import process, web

CONF = """
worker_processes 1;
error_log logs/error.log info;
events {}
http {
    lua_socket_log_errors off;
    lua_shared_dict store 1m;
    resolver 127.0.0.1:RESOLVER ipv6=off;
    HTTP_CONF
    server {
        listen 127.0.0.1:PORT;
        client_max_body_size 100m;
        client_body_buffer_size 100m;
        SERVER_CONF

        location = /run {
            content_by_lua_block {
                local cjson = require "cjson"
                ngx.req.read_body()
                local chunk, err = loadstring(ngx.req.get_body_data(), "=test")
                if not chunk then
                    ngx.status = 500
                    ngx.print(err)
                    return
                end
                local function pack(good, ...)
                    return good, {...}, select("#", ...)
                end
                local good, values, n = pack(xpcall(chunk, debug.traceback))
                if not good then
                    ngx.status = 500
                    ngx.print(values[1])
                    return
                end
                for i = 1, n do
                    if values[i] == nil then
                        values[i] = cjson.null
                    end
                end

                local function encode(v)  -- as cjson does, but an empty table is a list
                    if type(v) ~= "table" then
                        return cjson.encode(v)
                    end
                    local out = {}
                    if #v > 0 or next(v) == nil then
                        for i, item in ipairs(v) do
                            out[i] = encode(item)
                        end
                        return "[" .. table.concat(out, ",") .. "]"
                    end
                    for k, item in pairs(v) do
                        out[#out + 1] = cjson.encode(tostring(k)) .. ":" .. encode(item)
                    end
                    return "{" .. table.concat(out, ",") .. "}"
                end
                ngx.print(encode(values))
            }
        }
    }
}
"""


class LuaRunner(web.Web):
    def __init__(self, http_conf="", server_conf="", resolver=53):
        port = process.free_port()
        super().__init__(CONF, port, replace={
            "PORT": str(port), "HTTP_CONF": http_conf, "SERVER_CONF": server_conf, "RESOLVER": str(resolver)})

    def run(self, chunk, **options):
        """The values that the chunk returns, as a list; nil and ngx.null are None."""
        status, _, body = self.request("/run", "POST", chunk, **options)
        if status != 200:
            raise AssertionError(f"{status}: {body}\n{self.log()[-2000:]}")
        return json.loads(body)


def lua(value):
    """A Python value as a Lua literal."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"[{lua(k)}] = {lua(v)}" for k, v in value.items()) + "}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)
    return '"' + "".join(c if c.isalnum() or c in " _-./:" else f"\\{ord(c):03d}" for c in value) + '"'
