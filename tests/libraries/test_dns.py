"""Debian's lua-nginx-dns, unmodified, against a DNS server of our own; and host names in cosockets."""

import unittest

from lua_runner import LuaRunner
from servers import databases, dns

RECORDS = {
    ("one.test", "A"): ["192.0.2.1"],
    ("many.test", "A"): [f"192.0.2.{i}" for i in range(1, 21)],
    ("six.test", "AAAA"): ["2001:db8::1"],
    ("alias.test", "CNAME"): ["one.test"],
    ("mail.test", "MX"): [(10, "mx.test")],
    ("text.test", "TXT"): ["hello world"],
    ("_http._tcp.test", "SRV"): [(1, 2, 8080, "one.test")],
    ("1.2.0.192.in-addr.arpa", "PTR"): ["one.test"],
    ("local.test", "A"): ["127.0.0.1"],
}


class Dns(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dns = dns.DnsServer(RECORDS, truncated=["many.test"])
        cls.web = LuaRunner(resolver=cls.dns.port)

    @classmethod
    def tearDownClass(cls):
        cls.web.stop()
        cls.dns.__exit__()

    def query(self, call, timeout=2000):
        return self.web.run(f"""
            local resolver = require "nginx.dns.resolver"
            local r = assert(resolver:new {{
                nameservers = {{ {{ "127.0.0.1", {self.dns.port} }} }}, retrans = 3, timeout = {timeout} }})
            return {call}
        """)

    def test_record_types(self):
        for call, field, value in (
                ('r:query("one.test")', "address", "192.0.2.1"),
                ('r:query("six.test", { qtype = r.TYPE_AAAA })', "address", "2001:db8:0:0:0:0:0:1"),
                ('r:query("mail.test", { qtype = r.TYPE_MX })', "exchange", "mx.test"),
                ('r:query("text.test", { qtype = r.TYPE_TXT })', "txt", "hello world"),
                ('r:query("_http._tcp.test", { qtype = r.TYPE_SRV })', "port", 8080),
                ('r:reverse_query("192.0.2.1")', "ptrdname", "one.test")):
            self.assertEqual(self.query(call)[0][0][field], value, call)

    def test_alias(self):
        answers, = self.query('r:query("alias.test")')
        self.assertEqual([a.get("cname") or a.get("address") for a in answers], ["one.test", "192.0.2.1"])

    def test_unknown_name(self):
        answer, = self.query('r:query("missing.test")')
        self.assertEqual((answer["errcode"], answer["errstr"]), (3, "name error"))

    def test_truncated_answer_is_asked_for_over_tcp(self):
        self.dns.queries.clear()
        answers, = self.query('r:query("many.test")')
        self.assertEqual(len(answers), 20)
        self.assertEqual([q[2] for q in self.dns.queries], ["udp", "tcp"])

    def test_lost_queries_are_sent_again(self):
        self.dns.queries.clear()
        self.dns.ignore = 2
        answers, = self.query('r:query("one.test")', timeout=100)
        self.assertEqual(answers[0]["address"], "192.0.2.1")
        self.assertEqual(len(self.dns.queries), 3)

    def test_no_answer(self):
        self.dns.ignore = 3
        res, err = self.query('(function () local res, err = r:query("one.test"); return res, err end)()', timeout=50)
        self.assertIsNone(res)
        self.assertIn("timeout", err)

    def test_cosocket_connects_by_name(self):
        self.assertEqual(self.web.run(f"""
            local sock = ngx.socket.tcp()
            sock:settimeout(3000)
            assert(sock:connect("local.test", {databases.redis().port}))
            sock:send("PING\\r\\n")
            local _, err = ngx.socket.tcp():connect("missing.test", 80)
            return sock:receive(), err
        """), ["+PONG", "missing.test could not be resolved (3: Host not found)"])
