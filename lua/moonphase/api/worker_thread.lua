-- ngx.run_worker_thread
ngx.run_worker_thread = require("moonphase.native").worker_thread.run
