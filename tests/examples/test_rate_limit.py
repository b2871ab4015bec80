import collections
import time
import unittest

import example


class RateLimit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = example.start("rate_limit.conf", files={"html/download/big": "x" * 1500000})

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def test_burst(self):
        start = time.monotonic()
        statuses = [self.server.request("/")[0] for _ in range(12)]
        more = int((time.monotonic() - start) * 5) + 1
        count = collections.Counter(statuses)
        self.assertEqual(statuses[:4], [200] * 4)
        self.assertEqual(count[200] + count[429], 12)
        self.assertLessEqual(count[200], 4 + more)

    def test_one_download_at_a_time(self):
        with self.server.connect() as first:
            first.sendall(b"GET /download/big HTTP/1.0\r\n\r\n")
            self.assertTrue(first.recv(1000).startswith(b"HTTP/1.1 200"))
            self.assertEqual(self.server.request("/download/big")[0], 429)

    def test_quota_of_a_key(self):
        self.assertEqual(self.server.request("/api")[0], 401)
        statuses = [self.server.request("/api", headers={"X-API-Key": "one"})[0] for _ in range(12)]
        self.assertEqual(statuses, [200] * 10 + [429] * 2)
        status, headers, _ = self.server.request("/api", headers={"X-API-Key": "one"})
        self.assertEqual(headers["Retry-After"], "60")
        self.assertEqual(self.server.request("/api", headers={"X-API-Key": "two"})[0], 200)
