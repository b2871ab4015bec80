import os
import unittest

import example
from servers.websocket import BINARY, CLOSE, PING, PONG, TEXT, WebSocket


class WebSocketTunnel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = example.start("websocket_tunnel.conf")

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def test_talk(self):
        with self.server.connect(10) as sock:
            ws = WebSocket(sock, "/chat")
            for i in range(20):
                ws.send(TEXT, f"hello {i}".encode())
                self.assertEqual(ws.receive(), (TEXT, f"echo: hello {i}".encode()))
            data = os.urandom(60000)
            ws.send(BINARY, data)
            self.assertEqual(ws.receive(), (BINARY, data))
            ws.send(PING, b"still there?")
            self.assertEqual(ws.receive(), (PONG, b"still there?"))
            ws.send(CLOSE)
            self.assertEqual(ws.receive()[0], CLOSE)
            self.assertTrue(ws.ended())

    def test_many_frames_at_once(self):
        with self.server.connect(10) as sock:
            ws = WebSocket(sock, "/chat")
            for i in range(200):
                ws.send(TEXT, str(i).encode())
            for i in range(200):
                self.assertEqual(ws.receive(), (TEXT, f"echo: {i}".encode()))

    def test_client_hangs_up(self):
        with self.server.connect(10) as sock:
            WebSocket(sock, "/chat").send(TEXT, b"bye")
        self.assertEqual(self.server.request("/chat")[0], 400)  # the server goes on

    def test_without_upgrade(self):
        self.assertEqual(self.server.request("/chat")[0], 400)
