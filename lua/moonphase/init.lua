-- Fills the global ngx table. Run once in every new VM, before any script.
ngx = ngx or {}
package.loaded.ngx = ngx

require "moonphase.core.base"

for _, name in ipairs {
    "time",
} do
    require("moonphase.api." .. name)
end
