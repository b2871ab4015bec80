import socket
import time
import unittest

import example
from servers import databases, delay

SLOW, MIDDLE = 0.6, 0.3
LINES = {who: f"{who}: hello from {who}" for who in ("mysql", "memcached", "http")}


class Race(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.db = databases.mariadb()
        memcached = databases.memcached()
        with socket.create_connection(("127.0.0.1", memcached.port)) as s:
            s.sendall(b"set greeting 0 0 20\r\nhello from memcached\r\n")
            assert s.recv(100) == b"STORED\r\n"
        # memcached itself is never slow, a proxy in front of it is
        cls.memcached = delay.Proxy(("127.0.0.1", memcached.port))
        cls.server = example.start("race.conf", {"3306": cls.db.port, "11211": cls.memcached.port})
        # the pools are warm, so that a race measures the three answers and no connects
        cls.server.get("/race")

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        cls.memcached.__exit__()

    def race(self, **seconds):
        """The lines in the order in which they came, and the time of the whole."""
        self.memcached.seconds = seconds.pop("memcached", 0)
        query = "&".join(f"{who}={s}" for who, s in seconds.items())
        start = time.monotonic()
        body = self.server.get(f"/race?{query}")
        return body.splitlines(), time.monotonic() - start

    def check(self, first, second, third):
        lines, elapsed = self.race(**{second: MIDDLE, third: SLOW})
        self.assertEqual(lines, [LINES[first], LINES[second], LINES[third]])
        self.assertGreater(elapsed, SLOW * 0.95)
        # one after the other would take SLOW + MIDDLE at least
        self.assertLess(elapsed, SLOW + MIDDLE)

    def test_mysql_is_slow(self):
        self.check("memcached", "http", "mysql")
        self.check("http", "memcached", "mysql")

    def test_memcached_is_slow(self):
        self.check("mysql", "http", "memcached")
        self.check("http", "mysql", "memcached")

    def test_http_is_slow(self):
        self.check("memcached", "mysql", "http")
        self.check("mysql", "memcached", "http")

    def test_all_are_slow(self):
        _, elapsed = self.race(mysql=SLOW, memcached=SLOW, http=SLOW)
        self.assertLess(elapsed, 2 * SLOW)

    def test_results_are_sent_as_they_come(self):
        self.memcached.seconds = 0
        with self.server.connect() as s:
            start = time.monotonic()
            s.sendall(b"GET /race?mysql=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            data = b""
            while LINES["memcached"].encode() not in data or LINES["http"].encode() not in data:
                data += s.recv(4096)
            self.assertLess(time.monotonic() - start, 0.8)
            self.assertNotIn(b"mysql", data)
            while piece := s.recv(4096):
                data += piece
            self.assertIn(LINES["mysql"].encode(), data)
