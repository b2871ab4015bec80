"""A client over TLS, for tests."""

import contextlib
import ssl


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
