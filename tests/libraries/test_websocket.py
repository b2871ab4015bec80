"""Debian's lua-nginx-websocket, unmodified: its server with a client of ours, and its client with its server."""

import os
import unittest

from lua_runner import LuaRunner
from servers.websocket import BINARY, CLOSE, PING, PONG, TEXT, WebSocket

SERVER = """
    location = /echo {
        lua_check_client_abort on;
        content_by_lua_block {
            local server = require "nginx.websocket.server"
            local ws, err = server:new { timeout = 500, max_payload_len = 100000 }
            if not ws then
                ngx.log(ngx.INFO, "no websocket: ", err)
                return ngx.exit(444)
            end
            while true do
                local data, kind, err = ws:recv_frame()
                if not data then
                    if ws.fatal then
                        return
                    end
                    ws:send_text("timeout")
                elseif kind == "close" then
                    ws:send_close(1000, "bye")
                    return
                elseif kind == "ping" then
                    ws:send_pong(data)
                elseif kind == "text" then
                    ws:send_text(data)
                elseif kind == "binary" then
                    ws:send_binary(data)
                end
            end
        }
    }
"""


class Server(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.web = LuaRunner(server_conf=SERVER)

    @classmethod
    def tearDownClass(cls):
        cls.web.stop()

    def test_frames_of_all_sizes(self):
        with self.web.connect(10) as sock:
            ws = WebSocket(sock, "/echo")
            for size in (0, 1, 125, 126, 65535, 65536, 99999):
                data = os.urandom(size)
                ws.send(BINARY, data)
                self.assertEqual(ws.receive(), (BINARY, data))
            ws.send(TEXT, "grüße".encode())
            self.assertEqual(ws.receive(), (TEXT, "grüße".encode()))
            ws.send(PING, b"p")
            self.assertEqual(ws.receive(), (PONG, b"p"))

    def test_close(self):
        with self.web.connect(10) as sock:
            ws = WebSocket(sock, "/echo")
            ws.send(CLOSE, b"\x03\xe8")
            self.assertEqual(ws.receive(), (CLOSE, b"\x03\xe8bye"))
            self.assertTrue(ws.ended())

    def test_timeout_and_going_on(self):
        with self.web.connect(10) as sock:
            ws = WebSocket(sock, "/echo")
            self.assertEqual(ws.receive(), (TEXT, b"timeout"))
            ws.send(TEXT, b"here")
            self.assertEqual(ws.receive(), (TEXT, b"here"))

    def test_too_large_a_frame(self):
        with self.web.connect(10) as sock:
            ws = WebSocket(sock, "/echo")
            ws.send(BINARY, b"x" * 100001)
            with self.assertRaises((EOFError, ConnectionError)):
                while True:
                    self.assertNotEqual(ws.receive()[0], BINARY)

    def test_client_of_the_library(self):
        self.assertEqual(self.web.run(f"""
            local client = require "nginx.websocket.client"
            local ws = client:new {{ timeout = 3000, max_payload_len = 100000 }}
            assert(ws:connect("ws://127.0.0.1:{self.web.port}/echo"))
            local out = {{}}
            local function round(kind, data)
                assert(ws["send_" .. kind](ws, data))
                local back, got, err = ws:recv_frame()
                out[#out + 1] = back == data and got or err or "different"
            end
            round("text", "hello")
            round("text", string.rep("x", 300))
            round("binary", string.rep("y", 70000))
            assert(ws:send_ping("x"))
            out[#out + 1] = select(2, ws:recv_frame())
            assert(ws:send_close())
            local reason, kind, code = ws:recv_frame()
            out[#out + 1] = kind .. " " .. code .. " " .. reason
            return out, (ws:close())
        """), [["text", "text", "binary", "pong", "close 1000 bye"], 1])
