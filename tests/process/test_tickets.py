"""TLS: session tickets, the first response, and the goodbye, which leave together where they can."""

import socket
import ssl
import subprocess
import unittest

from servers import process, web
from wire import Wire

CONF = """
master_process off;
error_log logs/error.log info;
events {{ }}
http {{
    access_log off;
    lua_shared_dict d 1m;
    server {{
        listen 127.0.0.1:{port};
        listen 127.0.0.1:{tls} ssl;
        http2 on;
        ssl_certificate ../localhost.crt;
        ssl_certificate_key ../localhost.key;
        lingering_timeout 50ms;
        location / {{ return 200 "small\\n"; }}
        location = /large {{ content_by_lua_block {{ ngx.print(string.rep("0123456789abcdef", 65536)) }} }}
        location = /held {{
            content_by_lua_block {{
                while not ngx.shared.d:get("go") do ngx.sleep(0.005) end
                ngx.say("released")
            }}
        }}
        location = /go {{ content_by_lua_block {{ ngx.shared.d:set("go", true) }} }}
    }}
}}
"""
SMALL = b"small\n"
PIECE = b"0123456789abcdef"


def request(path, *fields):
    return "\r\n".join((f"GET {path} HTTP/1.1", "Host: localhost", *fields, "", "")).encode()


class Tickets(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        files = process.certificate()
        cls.port, cls.tls = process.free_port(), process.free_port()
        cls.web = web.Web(CONF.format(port=cls.port, tls=cls.tls), cls.port, files=files)
        cls.certificate = files["localhost.crt"]

    @classmethod
    def tearDownClass(cls):
        cls.web.stop()

    def context(self, version=ssl.TLSVersion.TLSv1_3, protocols=()):
        context = ssl.create_default_context(cadata=self.certificate)
        context.minimum_version = context.maximum_version = version
        if protocols:
            context.set_alpn_protocols(protocols)
        return context

    def wire(self, context=None, session=None):
        s = socket.create_connection(("127.0.0.1", self.tls), timeout=20)
        self.addCleanup(s.close)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Wire(s, context or self.context(), session)

    def test_they_come_with_the_answer_to_a_request_that_was_there(self):
        wire = self.wire()
        wire.send(request("/", "Connection: close"))
        got, goodbye = wire.receive()
        self.assertTrue(got.startswith(b"HTTP/1.1 200 OK") and got.endswith(SMALL), got)
        self.assertTrue(goodbye)
        self.assertTrue(wire.tls.session.has_ticket)

    def test_they_do_not_wait_for_a_request(self):
        whole = request("/")
        for first in (b"", whole[:20]):
            wire = self.wire()
            wire.send(first)
            self.assertEqual(wire.receive(), (b"", False))
            self.assertTrue(wire.tls.session.has_ticket)
            wire.send(whole[len(first):])
            got, goodbye = wire.receive()
            self.assertTrue(got.startswith(b"HTTP/1.1 200 OK") and got.endswith(SMALL), got)
            self.assertFalse(goodbye)

    def test_they_do_not_wait_for_a_handler_that_waits(self):
        wire = self.wire()
        wire.send(request("/held", "Connection: close"))
        self.assertEqual(wire.receive(), (b"", False))
        self.assertTrue(wire.tls.session.has_ticket)
        self.web.request("/go")
        self.assertIn(b"released", wire.read())

    def test_http2_greets_with_them(self):
        def frame(kind, flags=0, stream=0, payload=b""):
            return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload

        def kinds(frames):
            while frames:
                yield frames[3]
                frames = frames[9 + int.from_bytes(frames[:3], "big"):]

        data, headers, settings, window_update = 0, 1, 4, 8
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(settings)
        get = frame(headers, 5, 1, b"\x82\x84\x87\x41\x01a")
        for apart in (False, True):
            for request, answer in ((b"", []), (get, [headers, data])):
                wire = self.wire(self.context(protocols=["h2"]))
                with self.web.daemon.held():
                    if apart:
                        wire.send()
                    wire.send(preface + request)
                got, goodbye = wire.receive()
                self.assertEqual(list(kinds(got)), [settings, window_update, settings, *answer])
                self.assertFalse(goodbye)
                self.assertTrue(wire.tls.session.has_ticket)

    def test_sessions_are_resumed(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.context(version)
            session = None
            for path in ("/", "/large", "/"):
                wire = self.wire(context, session)
                self.assertEqual(wire.tls.session_reused, session is not None)
                wire.send(request(path, "Connection: close"))
                got = wire.read()
                body = got.partition(b"\r\n\r\n")[2]
                self.assertEqual(body.count(PIECE) if path == "/large" else body, 65536 if path == "/large" else SMALL)
                session = wire.tls.session
                self.assertTrue(session.has_ticket)

    def test_sessions_of_another_client_are_resumed(self):
        where = f"{process.folder()}/session"
        for version in ("-tls1_2", "-tls1_3"):
            for keep, reused in (("-sess_out", False), ("-sess_in", True)):
                done = subprocess.run(
                    ["openssl", "s_client", "-connect", f"127.0.0.1:{self.tls}", "-ign_eof", version, keep, where],
                    input=request("/", "Connection: close"), capture_output=True, timeout=20)
                self.assertIn(SMALL, done.stdout)
                self.assertEqual(b"Reused, TLSv1" in done.stdout, reused, done.stdout)

    def test_the_goodbye_is_behind_the_last_byte_for_a_slow_client(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                s.settimeout(20)
                s.connect(("127.0.0.1", self.tls))
                wire = Wire(s, self.context(version))
                wire.send(request("/large", "Connection: close"))
                got = wire.read()
                self.assertEqual(got.count(PIECE), 65536)
                self.assertTrue(got.endswith(PIECE + b"\r\n0\r\n\r\n"), got[-100:])


if __name__ == "__main__":
    unittest.main()
