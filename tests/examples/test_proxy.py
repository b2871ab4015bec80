import unittest

import example
from servers import process, web


class Proxy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = example.start("proxy.conf")

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def test_both_servers_are_asked(self):
        answers = [self.server.get("/some/path?x=1", headers={"Host": "shop.example"}) for _ in range(8)]
        self.assertEqual(sorted(set(answers)), [
            f"{name}: /some/path?x=1 from 127.0.0.1 for shop.example\n" for name in ("one", "two")])

    def test_header_names_the_upstream(self):
        _, headers, body = self.server.request("/")
        port = self.server.ports["8081" if body.startswith("one") else "8082"]
        self.assertEqual(headers["X-Upstream"], f"127.0.0.1:{port}")

    def test_prefix_is_taken_off(self):
        self.assertRegex(self.server.get("/api/users?id=7"), r"^(one|two): /users\?id=7 ")

    def test_sick_server_is_left_for_the_other(self):
        for _ in range(4):
            self.assertEqual(self.server.get("/sick")[:4], "two:")


class DeadUpstream(unittest.TestCase):
    def test_dead_server_is_left_for_the_other(self):
        conf = example.read("proxy.conf")
        # only the first of the two listens
        conf = conf[:conf.rindex("    server {")] + "}\n"
        ports = {str(p): str(process.free_port()) for p in (8080, 8081, 8082)}
        server = web.Web(conf, int(ports["8080"]), replace=ports)
        for _ in range(4):
            self.assertEqual(server.get("/")[:4], "one:")
        server.stop()
