"""An upstream server that answers well or badly, as the request's path says. Runs in a process of its own."""

import ctypes
import os
import random
import re
import signal
import socket
import struct
import threading
import time

PATTERN = b"0123456789abcdef" * 65536


def body(size):
    return PATTERN[:size]


def reset(sock):
    """Closes with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def head(size, more=""):
    return f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n{more}\r\n".encode()


class Gone(Exception):
    """The connection is over."""


def ok(sock, size):
    sock.sendall(head(size) + body(size))


def chunked(sock, size):
    sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for at in range(0, size, 3000):
        piece = body(size)[at:at + 3000]
        sock.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
    sock.sendall(b"0\r\n\r\n")


def slow(sock, size):
    sock.sendall(head(size))
    step = max(1, size // 4)
    for at in range(0, size, step):
        time.sleep(0.01)
        sock.sendall(body(size)[at:at + step])


def until_close(sock, size):
    sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body(size))
    raise Gone


def truncated(sock, size):
    sock.sendall(head(size + 100) + body(size))
    raise Gone


def truncated_chunk(sock, size):
    sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % (size + 10) + body(size))
    raise Gone


def bad_chunk(sock, size):
    sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n" + body(size))
    raise Gone


def half_head(sock, size):
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-")
    raise Gone


def garbage(sock, size):
    sock.sendall(random.randbytes(min(size, 5000) + 1))
    raise Gone


def long_head(sock, size):
    sock.sendall(head(5, "X: " + "x" * 9000 + "\r\n") + b"hello")


def too_much(sock, size):
    sock.sendall(head(5) + body(size))


def nothing(sock, size):
    raise Gone


def rst(sock, size):
    reset(sock)
    raise Gone


def rst_in_body(sock, size):
    sock.sendall(head(size + 100) + body(size))
    reset(sock)
    raise Gone


def half_closed(sock, size):
    sock.sendall(head(size + 1) + body(size))
    sock.shutdown(socket.SHUT_WR)
    time.sleep(0.05)
    raise Gone


def hang(sock, size):
    time.sleep(2.3)
    raise Gone


def hang_in_body(sock, size):
    sock.sendall(head(size + 1) + body(size))
    time.sleep(2.3)
    raise Gone


def early(sock, size):
    """Answers before the body has come, and closes."""
    sock.sendall(b"HTTP/1.1 413 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
    raise Gone


def upgrade(sock, size):
    sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
    while data := sock.recv(4096):
        if data.startswith(b"rst"):
            reset(sock)
            break
        sock.sendall(data)
        if data.startswith(b"end"):
            break
    raise Gone


def any_of_them(sock, size):
    random.choice(BAD + GOOD)(sock, size)


GOOD = [ok, chunked, slow, until_close]
BAD = [truncated, truncated_chunk, bad_chunk, half_head, garbage, long_head, too_much, nothing, rst, rst_in_body,
       half_closed, hang_in_body]
KINDS = {f.__name__: f for f in [*GOOD, *BAD, hang, early, upgrade]}
KINDS.update({"any": any_of_them, "tunnel": upgrade})


def read_request(reader):
    """(kind, size) of the next request, its body read; None at the end."""
    line = reader.readline()
    match = re.match(rb"[A-Z]+ /(?:.*/)?(\w+)\S*? HTTP|[A-Z]+ /(?:.*/)?(\w+)\S*? HTTP", line)
    if not match:
        return None
    size = re.search(rb"[?&]size=(\d+)", line)
    kind = (match[1] or match[2]).decode()
    length, chunks = 0, False
    while (field := reader.readline()) not in (b"\r\n", b""):
        name, _, value = field.lower().partition(b":")
        if name == b"content-length":
            length = int(value)
        chunks = chunks or (name == b"transfer-encoding" and b"chunked" in value)
    if kind == "early":
        return kind, 0
    if chunks:
        while (count := int(reader.readline() or b"0", 16)) > 0:
            reader.read(count + 2)
        reader.readline()
    elif length and len(reader.read(length)) < length:
        return None
    return kind, int(size[1]) if size else 5


def serve(sock):
    try:
        with sock, sock.makefile("rb") as reader:
            sock.settimeout(10)
            while (request := read_request(reader)) is not None:
                kind, size = request
                KINDS.get(kind, ok)(sock, size)
    except (OSError, Gone, ValueError):
        pass


def start(port):
    """The process id of a new upstream server."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(1024)
    pid = os.fork()
    if pid:
        listener.close()
        return pid
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: it does not outlive the tests
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=serve, args=(sock,), daemon=True).start()
