"""The workloads that are one request, asked again and again. `servers` names who can do it; the first is ours."""
from alternate import SHORT_SLICE, SLICE
from measure import Load

COMPATIBLE = ['moonphase', 'nginx', '+peers']


class Workload:
    def __init__(self, key, title, load, servers, floor=None, instructions=True, bytes_matter=False,
                 slice_seconds=SLICE):
        self.key, self.title, self.load, self.servers, self.floor = key, title, load, servers, floor
        self.instructions, self.bytes_matter, self.slice_seconds = instructions, bytes_matter, slice_seconds


# (floor: the program whose CPU a request is the floor of this one)
ALL = [
    Workload('return', '1 return 200', Load('/return'), ['moonphase', 'nginx', '+peers', 'haproxy'], 'responder',
             slice_seconds=SHORT_SLICE),
    Workload('lua', '2 Lua hello', Load('/lua'), COMPATIBLE, 'responder', slice_seconds=SHORT_SLICE),
    Workload('handlers', '3 rewrite, access, content and log handlers', Load('/handlers'), COMPATIBLE, 'responder',
             slice_seconds=SHORT_SLICE),
    Workload('static-1k', '4 static 1 KB', Load('/static/1k.txt'), ['moonphase', 'nginx', '+peers', 'h2o'],
             'responder-1k', slice_seconds=SHORT_SLICE),
    Workload('static-1m', '4 static 1 MB', Load('/static/1m.txt', 16), ['moonphase', 'nginx', '+peers', 'h2o'],
             'responder-file', instructions=False),
    Workload('proxy-1k', '5 proxy 1 KB', Load('/proxy'), ['moonphase', 'nginx', '+peers', 'haproxy', 'h2o'], 'relay',
             slice_seconds=SHORT_SLICE),
    Workload('proxy-1m', '5 proxy 1 MB', Load('/1m', 16), ['moonphase', 'nginx', '+peers', 'haproxy', 'h2o'], 'relay',
             instructions=False),
    Workload('proxy-post', '5 proxy POST 1 MB', Load('/post', 16, 'POST', 1 << 20),
             ['moonphase', 'nginx', '+peers', 'haproxy', 'h2o'], 'relay', instructions=False),
    # Pools and connections to the origin for so many requests at once take longer to fill.
    Workload('proxy-slow', '6 proxy, origin takes 5 ms, 2,000 connections', Load('/slow', 2000, warm=1),
             ['moonphase', 'nginx', '+peers', 'haproxy', 'h2o'], 'relay-slow', instructions=False),
    Workload('redis', '7 cosocket to Redis, GET', Load('/redis'), COMPATIBLE),
    Workload('threads', '8 three light threads, a Redis GET each', Load('/threads'), COMPATIBLE),
    Workload('regex', '10 ngx.re', Load('/regex'), COMPATIBLE),
    Workload('json', '10 JSON encode', Load('/json'), COMPATIBLE),
    Workload('headers', '10 50 request headers, 20 in the response', Load('/headers', headers=50), COMPATIBLE),
    Workload('gzip-1', '11 gzip level 1, 64 KB JSON', Load('/gzip1/64k.json', gzip=True), [*COMPATIBLE, 'h2o'],
             instructions=False, bytes_matter=True),
    Workload('gzip-5', '11 gzip level 5, 64 KB JSON', Load('/gzip5/64k.json', gzip=True), [*COMPATIBLE, 'h2o'],
             instructions=False, bytes_matter=True),
    Workload('connect', '13 a connection for every request', Load('/return', close=True),
             ['moonphase', 'nginx', '+peers', 'haproxy'], 'responder-close', instructions=False),
    Workload('coroutine', '17 1,000 coroutine switches', Load('/coroutine'), COMPATIBLE),
    Workload('sleep0', '17 1,000 times ngx.sleep(0)', Load('/sleep0', 16), COMPATIBLE),
]
