"""Debian's lua-nginx-memcached, unmodified, against a real memcached."""

import unittest

from lua_runner import LuaRunner
from servers import databases


class Memcached(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.memcached = databases.memcached()
        cls.web = LuaRunner()

    @classmethod
    def tearDownClass(cls):
        cls.web.stop()

    def run_lua(self, chunk, keys="nil"):
        return self.web.run(f"""
            local memcached = require "nginx.memcached"
            local function connect()
                local memc = assert(memcached:new({keys}))
                memc:set_timeout(3000)
                assert(memc:connect("127.0.0.1", {self.memcached.port}))
                return memc
            end
            local memc = connect()
            {chunk}
        """)

    def test_set_and_get(self):
        self.assertEqual(self.run_lua("""
            assert(memc:set("dog", "line\\r\\n\\0", 0, 42))
            local value, flags, err = memc:get("dog")
            return value == "line\\r\\n\\0", flags, err, memc:get("no such key")
        """), [True, "42", None, None, None, None])

    def test_keys_are_escaped(self):
        self.assertEqual(self.run_lua("""
            assert(memc:set("with space\\r\\nand more", "v"))
            return (memc:get("with space\\r\\nand more"))
        """), ["v"])

    def test_several_keys(self):
        self.assertEqual(self.run_lua("""
            memc:set("m1", "a")
            memc:set("m2", "b", 0, 7)
            return memc:get { "m1", "m2", "m3" }
        """), [{"m1": ["a", "0"], "m2": ["b", "7"]}])

    def test_add_replace_append_delete(self):
        self.assertEqual(self.run_lua("""
            memc:delete("x")
            local out = {}
            local function note(ok, err)
                out[#out + 1] = ok or err
            end
            note(memc:replace("x", "1"))
            note(memc:add("x", "2"))
            note(memc:add("x", "3"))
            note(memc:append("x", "4"))
            note(memc:prepend("x", "5"))
            note((memc:get("x")))
            note(memc:delete("x"))
            note(memc:delete("x"))
            return out
        """), [["NOT_STORED", 1, "NOT_STORED", 1, 1, "524", 1, "NOT_FOUND"]])

    def test_counters(self):
        self.assertEqual(self.run_lua("""
            memc:set("n", 10)
            return memc:incr("n", 5), memc:decr("n", 1), (select(2, memc:incr("no such key", 1)))
        """), ["15", "14", "NOT_FOUND"])

    def test_compare_and_swap(self):
        self.assertEqual(self.run_lua("""
            memc:set("c", "1")
            local _, _, unique = memc:gets("c")
            local first = memc:cas("c", "2", unique)
            local second, err = memc:cas("c", "3", unique)
            return first, err, (memc:get("c"))
        """), [1, "EXISTS", "2"])

    def test_large_value(self):
        self.assertEqual(self.run_lua("""
            local value = string.rep("0123456789abcdef", 50000)
            assert(memc:set("large", value))
            return (memc:get("large")) == value
        """), [True])

    def test_version_and_stats(self):
        version, stats = self.run_lua('return memc:version(), #assert(memc:stats()) > 10')
        self.assertRegex(version, r"^\d+\.\d+\.\d+")
        self.assertTrue(stats)

    def test_keepalive(self):
        self.assertEqual(self.run_lua("""
            local times = {}
            for i = 1, 3 do
                assert(memc:set_keepalive(10000, 10))
                memc = connect()
                times[i] = memc:get_reused_times()
                assert(memc:set("k", i))
            end
            return times
        """), [[1, 2, 3]])
