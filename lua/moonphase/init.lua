-- Fills the global ngx table. Run once in every new VM, before any script; returns the environment of handlers.
ngx = {}
package.loaded.ngx = ngx

require "moonphase.core.base"

-- In this order: later ones use what earlier ones put into ngx.
for _, name in ipairs {
    "constants",
    "config",
    "log",
    "ctx",
    "time",
    "output",
    "control",
    "var",
    "arg",
    "resp_header",
    "req",
    "req_body",
    "worker",
    "thread",
    "text",
    "subrequest",
    "ndk",
    "timer",
    "tcp",
    "udp",
    "worker_thread",
    "regex",
} do
    require("moonphase.api." .. name)
end

local dictionaries = require("moonphase.native").shdict.set()
ngx.shared = dictionaries and require "moonphase.api.shdict" (dictionaries) or {}

require "moonphase.core.finalizers"

-- What is computed has a place in the table all the same, without a value: compiled code need not search for it.
for _, name in ipairs { "ctx", "status" } do
    rawset(ngx, name, true)
    rawset(ngx, name, nil)
end

-- Scripts find it loaded, wherever they look for it; and the function `exdata`, which LuaJIT's module leaves behind.
require "resty.core"
pcall(require, "thread.exdata")

return require "moonphase.core.globals"
