"""Debian's lua-nginx-redis, unmodified, against a real Redis."""

import threading
import time
import unittest

from lua_runner import LuaRunner
from servers import databases


class Redis(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.redis = databases.redis()
        cls.web = LuaRunner()

    @classmethod
    def tearDownClass(cls):
        cls.web.stop()

    def run_lua(self, chunk):
        return self.web.run(f"""
            local redis = require "nginx.redis"
            local function connect()
                local red = redis:new()
                red:set_timeout(3000)
                assert(red:connect("127.0.0.1", {self.redis.port}))
                return red
            end
            local red = connect()
            {chunk}
        """)

    def test_strings(self):
        self.assertEqual(self.run_lua("""
            assert(red:set("dog", "an animal\\r\\n\\0"))
            red:del("counter")
            return red:get("dog") == "an animal\\r\\n\\0", red:get("no such key") == ngx.null, red:incr("counter"),
                red:incr("counter"), red:mget("dog", "no such key")[2] == ngx.null
        """), [True, True, 1, 2, True])

    def test_error_reply(self):
        res, err = self.run_lua('red:set("word", "x"); return red:incr("word")')
        self.assertEqual((res, err), (False, "ERR value is not an integer or out of range"))

    def test_lists_and_hashes(self):
        self.assertEqual(self.run_lua("""
            red:del("list", "hash", "set")
            red:lpush("list", "a", "b", "c")
            red:hmset("hash", { dog = "bark", cat = "meow" })
            red:sadd("set", "x")
            return red:lrange("list", 0, -1), red:hget("hash", "cat"), red:hmget("hash", "dog", "cow"), red:smembers("set")
        """), [["c", "b", "a"], "meow", ["bark", None], ["x"]])

    def test_script(self):
        self.assertEqual(self.run_lua('return red:eval("return {KEYS[1], ARGV[1], 3}", 1, "k", "v")'), [["k", "v", 3]])

    def test_pipeline(self):
        self.assertEqual(self.run_lua("""
            red:init_pipeline()
            for i = 1, 500 do
                red:set("p" .. i, string.rep("x", i))
            end
            red:get("p500")
            red:incr("p1")
            local results = assert(red:commit_pipeline())
            return #results, results[1], #results[501], results[502]
        """), [502, "OK", 500, [False, "ERR value is not an integer or out of range"]])

    def test_large_value(self):
        self.assertEqual(self.run_lua("""
            local value = string.rep("0123456789abcdef", 200000)
            assert(red:set("large", value))
            return red:get("large") == value
        """), [True])

    def test_transaction(self):
        self.assertEqual(self.run_lua("""
            redis.add_commands("multi", "exec", "discard")
            red:multi()
            local queued = red:set("t", "1")
            red:incr("t")
            return queued, red:exec()
        """), ["QUEUED", ["OK", 2]])

    def test_subscription(self):
        self.assertEqual(self.run_lua("""
            redis.add_commands("publish")
            local first = assert(red:subscribe("news"))
            local other = connect()
            assert(other:publish("news", "hello") == 1)
            local message = assert(red:read_reply())
            local _, err = red:set_keepalive()
            local last = red:unsubscribe("news")
            return first, message, err, last
        """), [["subscribe", "news", 1], ["message", "news", "hello"], "subscribed state", ["unsubscribe", "news", 0]])

    def test_read_timeout_while_subscribed(self):
        self.assertEqual(self.run_lua("""
            red:subscribe("silence")
            red:set_timeout(50)
            return red:read_reply()
        """), [None, "timeout"])

    def test_keepalive(self):
        self.assertEqual(self.run_lua("""
            local times = {}
            for i = 1, 3 do
                assert(red:set_keepalive(10000, 10))
                red = connect()
                times[i] = red:get_reused_times()
                assert(red:set("k", i))
            end
            return times
        """), [[1, 2, 3]])

    def test_unix_domain_socket(self):
        self.assertEqual(self.web.run(f"""
            local red = require("nginx.redis"):new()
            assert(red:connect("unix:{self.redis.path}"))
            return red:set("u", "1")
        """), ["OK"])

    def test_many_requests_wait_at_once(self):
        """Thirty requests block in Redis for a moment; together they take as long as one."""
        results = []

        def ask(i):
            results.append(self.run_lua(f"""
                redis.add_commands("blpop")
                return red:blpop("nothing {i}", 1) == ngx.null
            """))
        start = time.monotonic()
        threads = [threading.Thread(target=ask, args=(i,)) for i in range(30)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(len(results), 30)
        self.assertLess(time.monotonic() - start, 6)
