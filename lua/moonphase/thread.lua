-- Fills the ngx table of a VM on a thread of ngx.run_worker_thread(): only what works without a request and without the
-- worker. Returns the environment of its functions.
ngx = {}
package.loaded.ngx = ngx

for _, name in ipairs { "constants", "config", "text" } do
    require("moonphase.api." .. name)
end

local dictionaries = require("moonphase.native").shdict.set()
ngx.shared = dictionaries and require "moonphase.api.shdict" (dictionaries) or {}

return _G
