"""Debian's lua-nginx-cookie, lua-resty-lrucache and lua-cjson, unmodified."""

import unittest

from lua_runner import LuaRunner

COOKIES = """
    location = /cookies {
        content_by_lua_block {
            local cookie = assert(require("nginx.cookie"):new())
            local a, err = cookie:get("a")
            assert(cookie:set { key = "name", value = "Bob", path = "/", httponly = true, max_age = 60 })
            assert(cookie:set { key = "age", value = "20", secure = true, domain = "example.com" })
            assert(cookie:set { key = "age", value = "20", secure = true, domain = "example.com" })
            local all = cookie:get_all()
            ngx.say(a or err, " ", all and all.b or "none")
        }
    }
"""


class SmallLibraries(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.web = LuaRunner(server_conf=COOKIES)

    @classmethod
    def tearDownClass(cls):
        cls.web.stop()

    def test_cookies(self):
        _, headers, body = self.web.request("/cookies", headers={"Cookie": "a=1; b=2"})
        self.assertEqual(body, "1 2\n")
        self.assertEqual(headers.get_all("Set-Cookie"),
                         ["name=Bob; Max-Age=60; Path=/; HttpOnly", "age=20; Domain=example.com; Secure"])
        self.assertEqual(self.web.get("/cookies"), "no cookie found in the current request none\n")

    def test_lrucache(self):
        for module in ("resty.lrucache", "resty.lrucache.pureffi"):
            self.assertEqual(self.web.run(f"""
                local cache = assert(require("{module}").new(3))
                cache:set("dog", 32)
                cache:set("cat", {{ 56 }}, nil, 7)
                local cat, _, flags = cache:get("cat")
                cache:set("bird", 1)
                cache:get("dog")
                cache:set("fish", 2)
                local out = {{ cache:get("dog"), cat[1], flags, cache:get("cat") == nil, cache:count(), cache:capacity() }}
                cache:set("short", "lived", 0.02)
                local alive = cache:get("short")
                ngx.sleep(0.05)
                local fresh, stale = cache:get("short")
                cache:delete("dog")
                local gone = cache:get("dog") == nil
                cache:flush_all()
                return out, alive, fresh, stale, gone, cache:get("fish") == nil
            """)[:6], [[32, 56, 7, True, 3, 3], "lived", None, "lived", True, True], module)

    def test_cjson(self):
        self.assertEqual(self.web.run("""
            local cjson = require "cjson"
            local value = cjson.decode('{"a": [1, 2.5, "x\\\\u00e9", null, true], "o": {"k": {}}}')
            local again = cjson.decode(cjson.encode(value))
            local _, err = pcall(cjson.decode, "{broken")
            local _, safe = require("cjson.safe").decode("[1,")
            return again.a[2], again.a[3], again.a[4] == cjson.null, cjson.null == ngx.null, again.a[5], err, safe
        """), [2.5, "xé", True, True, True, "Expected object key string but found invalid token at character 2",
               "Expected value but found T_END at character 4"])
