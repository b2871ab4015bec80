"""A TCP proxy in front of a server: delays replies, or passes them on in small pieces."""

import contextlib
import socket
import threading
import time

from . import process


class Proxy(contextlib.AbstractContextManager):
    """Forwards connections to `target`. What the target says is held back for `seconds` and cut into pieces of
    `chunk` bytes. `seconds` may be changed while it runs."""

    def __init__(self, target, seconds=0.0, chunk=0):
        self.target = target
        self.seconds = seconds
        self.chunk = chunk
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.port = process.free_port()
        self._listener.bind(("127.0.0.1", self.port))
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def __exit__(self, *_):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            for s in (client, server):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._pump, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, True), daemon=True).start()

    def _pump(self, source, sink, reply):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if reply and self.seconds:
                    time.sleep(self.seconds)
                step = self.chunk if reply and self.chunk else len(data)
                for at in range(0, len(data), step):
                    sink.sendall(data[at:at + step])
                    if step < len(data):
                        time.sleep(0.0005)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
