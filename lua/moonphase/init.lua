-- Fills the global ngx table. Run once in every new VM, before any script.
ngx = ngx or {}
package.loaded.ngx = ngx

require "moonphase.core.base"

for _, name in ipairs {
    "time",
} do
    require("moonphase.api." .. name)
end

local dictionaries = require("moonphase.native").shdict.set()
ngx.shared = dictionaries and require "moonphase.api.shdict" (dictionaries) or {}
