import unittest

import example
from servers import databases, process


class LuaSocket(unittest.TestCase):
    def test_conversations(self):
        server = example.start("lua_socket.conf", {"6379": databases.redis().port})
        for used in range(3):
            self.assertEqual(server.get("/ping"), f"+PONG, connection used {used} times before\n")
        self.assertRegex(server.get("/head"), r"^HTTP/1\.[01] 200 OK\r\n(.+\r\n)*Content-Length: 6")
        server.stop()

    def test_nobody_there(self):
        server = example.start("lua_socket.conf", {"6379": process.free_port()})
        status, _, body = server.request("/ping")
        self.assertEqual((status, body), (502, "connect: connection refused\n"))
        server.stop()
