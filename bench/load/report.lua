-- wrk: the requests that a workload wants, and the outcome as one line of JSON.
-- Arguments (after --): METHOD BODY_BYTES CLOSE HEADERS RANDOM
local method, body_size, close, headers, random = "GET", 0, false, 0, nil

function init(args)
    method = args[1] or "GET"
    body_size = tonumber(args[2]) or 0
    close = args[3] == "1"
    headers = tonumber(args[4]) or 0
    random = args[5] ~= "-" and args[5] or nil
    wrk.method = method
    if body_size > 0 then
        wrk.body = ("x"):rep(body_size)
        wrk.headers["Content-Type"] = "application/octet-stream"
    end
    if close then
        wrk.headers["Connection"] = "close"
    end
    for i = 1, headers do
        wrk.headers["X-Field-" .. i] = "value of field number " .. i
    end
    if args[6] == "gzip" then
        wrk.headers["Accept-Encoding"] = "gzip"
    end
    if random then
        -- "path:/l%d/:N" asks for one of N paths, "host:h%d.test:N" for one of N hosts.
        local kind, pattern, n = random:match("^(%a+)|(.*)|(%d+)$")
        n = tonumber(n)
        math.randomseed(4711)
        local ready = {}
        for i = 1, math.min(n, 4096) do
            local at = n <= 4096 and i or math.random(n)
            local text = pattern:format(at - 1)
            if kind == "path" then
                ready[i] = wrk.format(nil, text)
            else
                ready[i] = wrk.format(nil, nil, { Host = text })
            end
        end
        local i = 0
        request = function()
            i = i % #ready + 1
            return ready[i]
        end
    end
end

function done(summary, latency)
    local e = summary.errors
    io.write(('{"requests":%d,"usec":%d,"bytes":%d,"errors":%d,"p50":%d,"p99":%d,"p999":%d}\n'):format(
        summary.requests, summary.duration, summary.bytes,
        e.connect + e.read + e.write + e.status + e.timeout,
        latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
