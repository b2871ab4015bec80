"""The client's side of a WebSocket, as far as tests need it."""

import base64
import hashlib
import os
import struct

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class WebSocket:
    def __init__(self, sock, path, host="localhost"):
        self.sock = sock
        key = base64.b64encode(os.urandom(16)).decode()
        sock.sendall((f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
        self._data = b""
        while b"\r\n\r\n" not in self._data:
            self._fill()
        head, self._data = self._data.split(b"\r\n\r\n", 1)
        self.status, *headers = head.decode().split("\r\n")
        self.headers = {k.lower(): v.strip() for k, v in (h.split(":", 1) for h in headers)}
        if not self.status.startswith("HTTP/1.1 101 "):
            raise AssertionError(head.decode())
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        if self.headers["sec-websocket-accept"] != accept:
            raise AssertionError(head.decode())

    def _fill(self):
        piece = self.sock.recv(65536)
        if not piece:
            raise EOFError
        self._data += piece

    def _take(self, n):
        while len(self._data) < n:
            self._fill()
        taken, self._data = self._data[:n], self._data[n:]
        return taken

    def send(self, kind, payload=b""):
        mask = os.urandom(4)
        size = len(payload)
        if size < 126:
            head = struct.pack("!BB", 0x80 | kind, 0x80 | size)
        elif size < 65536:
            head = struct.pack("!BBH", 0x80 | kind, 0x80 | 126, size)
        else:
            head = struct.pack("!BBQ", 0x80 | kind, 0x80 | 127, size)
        masked = bytes(b ^ mask[i & 3] for i, b in enumerate(payload))
        self.sock.sendall(head + mask + masked)

    def receive(self):
        """The next frame: its kind and payload."""
        first, size = self._take(2)
        if size == 126:
            size, = struct.unpack("!H", self._take(2))
        elif size == 127:
            size, = struct.unpack("!Q", self._take(8))
        return first & 15, self._take(size)

    def ended(self):
        """Whether the other side closed the connection, with nothing left to read."""
        try:
            self._take(1)
            return False
        except EOFError:
            return True
