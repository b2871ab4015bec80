-- lua-resty-core is built in.
return { version = require("moonphase.core.base").version }
