"""On the steady path nothing comes from the heap: fibers, stacks, arenas, buffers and Lua threads are reused. LuaJIT's
own memory is not the heap's."""

import contextlib
import mmap
import os
import socket
import struct
import subprocess
import unittest

from servers import process, web

HERE = os.path.dirname(os.path.abspath(__file__))
CONNECTIONS = 8
CONF = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log warn;
events {{ }}
http {{
    access_log off;
    keepalive_requests 1000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    upstream origin {{
        server 127.0.0.1:{port};
        keepalive 32;
    }}
    server {{
        listen 127.0.0.1:{port};
        location = /return {{ return 200 "hello world\\n"; }}
        location = /lua {{ content_by_lua_block {{ ngx.say("hello world") }} }}
        location = /handlers {{
            rewrite_by_lua_block {{ ngx.ctx.method = ngx.var.request_method }}
            access_by_lua_block {{ ngx.ctx.allowed = ngx.req.get_headers()["x-refuse"] == nil }}
            content_by_lua_block {{
                ngx.header["X-Method"] = ngx.ctx.method
                ngx.say("hello world")
            }}
            log_by_lua_block {{ ngx.ctx.done = ngx.var.status }}
        }}
        location = /proxy {{
            proxy_pass http://origin/return;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""


class Heap(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = process.folder("mp-heap-")
        os.mkdir(cls.folder + "/logs")
        library = cls.folder + "/count_heap.so"
        subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", library, HERE + "/count_heap.c", "-ldl"], check=True)
        with open(cls.folder + "/count", "wb") as f:
            f.write(bytes(4096))
        cls.port = process.free_port()
        with open(cls.folder + "/conf", "w") as f:
            f.write(CONF.format(folder=cls.folder, port=cls.port))
        env = {**os.environ, "LD_PRELOAD": library, "HEAP_COUNT": cls.folder + "/count"}
        cls.server = process.Daemon("server", [web.binary(), "-p", cls.folder, "-c", "conf"], ("127.0.0.1", cls.port),
                                    cls.folder + "/out", env=env)
        cls.file = open(cls.folder + "/count", "r+b")
        cls.memory = mmap.mmap(cls.file.fileno(), 4096)
        cls.clients = [socket.create_connection(("127.0.0.1", cls.port), 10) for _ in range(CONNECTIONS)]

    @classmethod
    def tearDownClass(cls):
        for s in cls.clients:
            s.close()
        cls.server.stop()
        cls.memory.close()
        cls.file.close()

    def round(self, uri, together=False):
        """One request of each client; `together`: the server finds them all when it looks."""
        with self.server.held() if together else contextlib.nullcontext():
            for s in self.clients:
                s.sendall(f"GET {uri} HTTP/1.1\r\nHost: localhost\r\nX-One: 1\r\nUser-Agent: test\r\n\r\n".encode())
        for s in self.clients:
            answer = b""
            while not answer.endswith((b"\r\n\r\nhello world\n", b"c\r\nhello world\n\r\n0\r\n\r\n")):
                got = s.recv(65536)
                self.assertTrue(got, answer)
                answer += got
            self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), answer)

    def count(self):
        return struct.unpack_from("=Q", self.memory)[0]

    def check(self, uri):
        for _ in range(100):
            self.round(uri)
        for _ in range(10):  # the most that pools have to hold
            self.round(uri, together=True)
        rounds = 100
        before = self.count()
        self.assertGreater(before, 0)
        for _ in range(rounds):
            self.round(uri)
        taken = self.count() - before
        self.assertEqual(taken, 0, f"{taken / (rounds * CONNECTIONS):.2f} a request")

    def test_return(self):
        self.check("/return")

    def test_lua(self):
        self.check("/lua")

    def test_handlers(self):
        self.check("/handlers")

    def test_proxy(self):
        self.check("/proxy")

    def test_counter_counts(self):
        """What opens a connection takes memory: the counter sees it."""
        before = self.count()
        with socket.create_connection(("127.0.0.1", self.port), 10) as s:
            s.sendall(b"GET /return HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            while s.recv(65536):
                pass
        self.assertGreater(self.count(), before)
