"""Clients over TLS, for tests."""

import contextlib
import os
import select
import socket
import ssl
import subprocess


class Wire:
    """A client over TLS that decides what leaves when."""

    def __init__(self, s, context, session=None):
        self.socket = s
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost", session=session)
        self.insist(self.tls.do_handshake)
        self.end = self.outgoing.read()  # of the handshake

    def send(self, plain=b""):
        """With the end of the handshake, when that has not left."""
        end, self.end = self.end, b""
        self.socket.sendall(end + (self.records(plain) if plain else b""))

    def receive(self):
        """What comes with one read of the socket: the plain bytes, and whether the server has said goodbye."""
        came = self.socket.recv(1 << 20)
        self.incoming.write(came) if came else self.incoming.write_eof()
        got = b""
        try:
            while piece := self.tls.read(65536):
                got += piece
        except ssl.SSLWantReadError:
            return got, False
        except ssl.SSLZeroReturnError:
            pass
        return got, True

    def insist(self, call, *args):
        while True:
            try:
                return call(*args)
            except ssl.SSLWantReadError:
                if self.outgoing.pending:
                    self.socket.sendall(self.outgoing.read())
                came = self.socket.recv(65536)
                self.incoming.write(came) if came else self.incoming.write_eof()

    def records(self, plain):
        self.tls.write(plain)
        return self.outgoing.read()

    def goodbye(self):
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        return self.outgoing.read()

    def read(self, end=None):
        """What comes, up to `end` or the server's goodbye."""
        got = b""
        while end is None or not got.endswith(end):
            try:
                piece = self.insist(self.tls.read, 65536)
            except ssl.SSLZeroReturnError:
                piece = b""
            if not piece:
                return got
            got += piece
        return got


class Terminal:
    """openssl s_client, whose records the test hands on: it can change its keys (RFC 8446, 4.6.3)."""

    def __init__(self, server):
        self.server = server
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.process = subprocess.Popen(
                ["openssl", "s_client", "-tls1_3", "-connect", f"127.0.0.1:{listener.getsockname()[1]}"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            listener.settimeout(20)
            self.client = listener.accept()[0]
        self.client.settimeout(20)
        self.read(b")\n---\n")  # the handshake has been, and told

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.client.close()

    def type(self, text):
        os.write(self.process.stdin.fileno(), text)

    def records(self, plain):
        """Those that it sends for this text, and whatever it has sent before."""
        self.type(plain)
        got = b""
        while True:
            got += self.client.recv(65536)
            rest = got
            while len(rest) >= 5 and len(rest) - 5 >= (size := int.from_bytes(rest[3:5], "big")):
                if size == len(plain) + 17:  # type and tag
                    return got
                rest = rest[5 + size:]

    def read(self, end):
        """What it shows up to `end`, while records go either way."""
        shown = self.process.stdout.fileno()
        got = b""
        while not got.endswith(end):
            ready, _, _ = select.select([self.client, self.server, shown], [], [], 20)
            if not ready:
                raise TimeoutError(f"{end} did not come: {got[-500:]}")
            if self.client in ready:
                self.server.sendall(self.client.recv(65536))
            if self.server in ready:
                self.client.sendall(self.server.recv(65536))
            if shown in ready:
                piece = os.read(shown, 65536)
                if not piece:
                    raise EOFError(got[-500:])
                got += piece
        return got
