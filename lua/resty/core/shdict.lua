-- Its functions are built in: requiring it is only a way to ask for them.
return { version = require("moonphase.core.base").version }
