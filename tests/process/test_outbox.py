"""Responses that are sent together: connections whose requests are there when the worker looks. Plain, and over TLS."""

import socket
import ssl
import unittest

from servers import process, web
from wire import Terminal, Wire

CONF = """
master_process off;
error_log logs/error.log info;
events {{ }}
http {{
    access_log off;
    send_timeout 10s;
    server {{
        listen 127.0.0.1:{port} sndbuf=4608{tls};
        location / {{
            content_by_lua_block {{
                local n = ngx.var.arg_n
                local text = n .. string.rep("x", 2998) .. n
                ngx.header.content_length = #text
                ngx.print(text)
            }}
        }}
        location = /more {{
            content_by_lua_block {{
                ngx.print("done")
                ngx.eof()
                local till = ngx.now() + 0.3
                repeat ngx.update_time() until ngx.now() > till
            }}
        }}
    }}
}}
"""


class Outbox(unittest.TestCase):
    def setUp(self):
        self.serve()

    def serve(self, tls="", files=()):
        port = process.free_port()
        self.web = web.Web(CONF.format(port=port, tls=tls), port, files=files)
        self.addCleanup(self.web.daemon.stop)

    def client(self, room=None):
        s = socket.socket()
        self.addCleanup(s.close)
        if room is not None:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.settimeout(20)
        s.connect(("127.0.0.1", self.web.port))
        return s

    @staticmethod
    def ask(s, n):
        s.sendall(f"GET /?n={n} HTTP/1.1\r\nHost: a\r\n\r\n".encode())

    def expect(self, stream, n):
        self.assertEqual(stream.readline(), b"HTTP/1.1 200 OK\r\n")
        while stream.readline() != b"\r\n":
            pass
        self.assertEqual(stream.read(3000), b"%d" % n + b"x" * 2998 + b"%d" % n)

    def test_each_gets_its_own(self):
        clients = [self.client() for _ in range(100)]
        streams = [s.makefile("rb") for s in clients]
        for turn in range(3):
            with self.web.daemon.held():
                for i, s in enumerate(clients):
                    self.ask(s, (turn + i) % 10)
            for i, stream in enumerate(streams):
                self.expect(stream, (turn + i) % 10)

    def test_a_client_that_leaves_takes_nobody_along(self):
        for _ in range(5):
            leaving, other = self.client(), self.client()
            with self.web.daemon.held():
                self.ask(leaving, 1)
                self.ask(other, 2)
                leaving.close()
            self.expect(other.makefile("rb"), 2)

    def fill(self, slow, rounds, at_last=lambda: None):
        """Asks for more than the kernel holds for a client that does not read."""
        other = self.client()
        stream = other.makefile("rb")
        for n in range(rounds):
            with self.web.daemon.held():
                self.ask(other, n)
                self.ask(slow, n)
                if n == rounds - 1:
                    at_last()
            self.expect(stream, n)

    def test_what_the_kernel_does_not_take_comes_later(self):
        slow = self.client(room=2304)
        self.fill(slow, 10)
        stream = slow.makefile("rb")
        for n in range(10):
            self.expect(stream, n)
        self.ask(slow, 5)  # it goes on as any other
        self.expect(stream, 5)

    def test_it_comes_before_the_connection_is_closed(self):
        for rounds in range(2, 8):  # in one of them the last response is the first that is too much
            slow = self.client(room=2304)
            self.fill(slow, rounds, lambda: socket.socket.shutdown(slow, socket.SHUT_WR))  # no goodbye over TLS
            stream = slow.makefile("rb")
            for n in range(rounds):
                self.expect(stream, n)
            self.assertEqual(stream.read(), b"")

    def test_a_script_that_goes_on_after_the_end_keeps_nobody_waiting(self):
        first, second = self.client(), self.client()
        with self.web.daemon.held():
            self.ask(second, 3)
            first.sendall(b"GET /more HTTP/1.1\r\nHost: a\r\n\r\n")
        first.settimeout(0.25)
        self.assertIn(b"200 OK", first.recv(4096))
        self.expect(second.makefile("rb"), 3)


class OutboxOverTls(Outbox):
    """The same, and what only TLS has."""

    @classmethod
    def setUpClass(cls):
        cls.files = process.certificate()
        cls.contexts = []
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = ssl.create_default_context(cadata=cls.files["localhost.crt"])
            context.maximum_version = version
            cls.contexts.append(context)

    def setUp(self):
        self.serve(" ssl; ssl_certificate ../localhost.crt; ssl_certificate_key ../localhost.key", self.files)

    def client(self, room=None):
        self.contexts.reverse()  # both versions take turns
        s = self.contexts[0].wrap_socket(super().client(room), server_hostname="localhost")
        self.addCleanup(s.close)
        return s

    def wire(self):
        wire = Wire(super().client(), self.contexts[-1])
        wire.send()
        return wire

    def test_records_that_come_in_pieces(self):
        other, wire = self.client(), self.wire()
        stream = other.makefile("rb")
        for n, cut in enumerate((1, 4, 5, 20, -1)):
            records = wire.records(b"GET /?n=%d HTTP/1.1\r\n" % n) + wire.records(b"Host: a\r\n\r\n")
            for part in (records[:cut], records[cut:]):
                with self.web.daemon.held():
                    self.ask(other, n)
                    wire.socket.sendall(part)
                self.expect(stream, n)
            self.assertTrue(wire.read(b"x%d" % n).startswith(b"HTTP/1.1 200 OK\r\n"))

    def test_a_goodbye_that_comes_with_a_request_is_answered_behind_the_response(self):
        other, wire = self.client(), self.wire()
        with self.web.daemon.held():
            self.ask(other, 1)
            wire.socket.sendall(wire.records(b"GET /?n=2 HTTP/1.1\r\nHost: a\r\n\r\n") + wire.goodbye())
        self.expect(other.makefile("rb"), 1)
        self.assertTrue(wire.read().endswith(b"x2"))

    def test_a_record_that_is_none_ends_its_connection_only(self):
        other, wire = self.client(), self.wire()
        wire.socket.sendall(wire.records(b"GET /?n=1 HTTP/1.1\r\nHost: a\r\n\r\n"))
        wire.read(b"x1")
        with self.web.daemon.held():
            self.ask(other, 3)
            wire.socket.sendall(b"GET /?n=2 HTTP/1.1\r\nHost: a\r\n\r\n")
        self.expect(other.makefile("rb"), 3)
        with self.assertRaises(ssl.SSLError):
            wire.read()

    def test_keys_that_change_between_responses(self):
        other = self.client()
        stream = other.makefile("rb")
        terminal = Terminal(Outbox.client(self))
        self.addCleanup(terminal.close)
        # "k" has new keys for what it sends, "K" asks for new keys for what it gets, too.
        for n, command in enumerate((b"", b"k", b"K", b"", b"K", b"k")):
            if command:
                terminal.type(command + b"\n")
                terminal.read(b"KEYUPDATE\n")
            request = terminal.records(b"GET /?n=%d HTTP/1.1\r\nHost: a\r\n\r\n" % n)
            with self.web.daemon.held():
                self.ask(other, n)
                terminal.server.sendall(request)
            self.expect(stream, n)
            self.assertIn(b"HTTP/1.1 200 OK\r\n", terminal.read(b"x%d" % n))


if __name__ == "__main__":
    unittest.main()
