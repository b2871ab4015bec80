"""Debian's lua-nginx-kafka, unmodified, against a broker of ours."""

import time
import unittest

from lua_runner import LuaRunner
from servers import kafka

NOT_LEADER, TOO_LARGE = 6, 10

PRODUCER = """
    local producer = require "nginx.kafka.producer"
    local p = producer:new({{ {{ host = "127.0.0.1", port = {port} }} }}, {options})
"""


class Kafka(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.web = LuaRunner()

    @classmethod
    def tearDownClass(cls):
        cls.web.stop()

    def setUp(self):
        self.broker = self.enterContext(kafka.KafkaBroker({"test": 1, "wide": 3}))

    def produce(self, chunk, options="{}"):
        return self.web.run(PRODUCER.format(port=self.broker.port, options=options) + chunk)

    def test_offsets_behind_messages(self):
        self.assertEqual(self.produce("""
            local first = assert(p:send("test", "key", "one"))
            local second = assert(p:send("test", nil, "two"))
            return tonumber(first), tonumber(second)
        """), [1, 2])
        self.assertEqual(self.broker.messages, {("test", 0): [("key", "one"), ("", "two")]})

    def test_versions_of_the_protocol(self):
        for version in (1, 2):
            self.produce("""assert(p:send("test", "k", "v"))""", f"{{ api_version = {version} }}")
        self.assertEqual(self.broker.messages[("test", 0)], [("k", "v")] * 2)

    def test_keys_choose_partitions(self):
        self.produce("""
            for i = 1, 20 do
                assert(p:send("wide", "key" .. i % 5, tostring(i)))
            end
        """)
        places = {}
        for (_, partition), messages in self.broker.messages.items():
            for key, _ in messages:
                places.setdefault(key, set()).add(partition)
        self.assertEqual({len(found) for found in places.values()}, {1})
        self.assertEqual(sum(map(len, self.broker.messages.values())), 20)

    def test_large_messages(self):
        self.produce("""assert(p:send("test", "k", ("x"):rep(1000000)))""")
        self.assertEqual(len(self.broker.messages[("test", 0)][0][1]), 1000000)

    def test_a_moved_partition_is_tried_again(self):
        self.broker.errors = [NOT_LEADER]
        self.assertEqual(self.produce("""return tonumber(assert(p:send("test", "k", "v")))""",
                                      "{ retry_backoff = 10 }"), [1])
        self.assertEqual(self.broker.requests, [kafka.METADATA, kafka.PRODUCE, kafka.METADATA, kafka.PRODUCE])

    def test_errors(self):
        self.broker.errors = [TOO_LARGE] * 3
        self.assertEqual(self.produce("""return p:send("test", "k", "v")""", "{ retry_backoff = 10 }"),
                         [None, "MessageSizeTooLarge", False])
        self.assertEqual(self.produce("""return p:send("missing", "k", "v")"""), [None, "not found topic"])

    def test_no_broker(self):
        self.broker.__exit__()
        self.assertEqual(self.produce("""return p:send("test", "k", "v")"""), [None, "not found topic"])
        self.assertIn("all brokers failed in fetch topic metadata", self.web.log())

    def test_in_the_background(self):
        self.produce("""
            for i = 1, 500 do
                assert(p:send("test", nil, tostring(i)))
            end
        """, """{ producer_type = "async", flush_time = 20, batch_num = 100 }""")
        deadline = time.monotonic() + 5
        while len(self.broker.messages.get(("test", 0), ())) < 500 and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertEqual([value for _, value in self.broker.messages[("test", 0)]], [str(i) for i in range(1, 501)])


if __name__ == "__main__":
    unittest.main()
