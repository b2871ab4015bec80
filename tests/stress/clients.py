"""What clients do: polite ones, who must get the right answer whatever the others do, and the others."""

import hashlib
import random
import socket
import struct
import time

from upstream import BAD, GOOD, PATTERN

PATIENCE = 15  # seconds without a byte after which a polite client calls its request stuck
FILES = (0, 100, 5000, 20000, 300000)


class Wrong(Exception):
    """A polite client got something else than it should."""


def expect(what, got, *wanted):
    if got not in wanted:
        raise Wrong(f"{what}: {str(got)[:200]!r}, not {' or '.join(str(w)[:100] for w in wanted)}")


class Client:
    def __init__(self, port, buffer=None):
        self.sock = socket.socket()
        if buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(("127.0.0.1", port))
        self.reader = self.sock.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.reader.close()
        self.sock.close()

    def send(self, target, method="GET", body=b"", more=""):
        if body or method == "POST":
            more += f"Content-Length: {len(body)}\r\n"
        self.sock.sendall(f"{method} {target} HTTP/1.1\r\nHost: a\r\n{more}\r\n".encode() + body)

    def read(self, target):
        """(status, body) of the next response."""
        try:
            line = self.reader.readline()
            if not line:
                raise Wrong(f"{target}: closed without an answer")
            status, length, chunks, close = int(line.split()[1]), None, False, False
            while (field := self.reader.readline()) not in (b"\r\n", b""):
                name, _, value = field.strip().lower().partition(b":")
                if name == b"content-length":
                    length = int(value)
                chunks = chunks or name == b"transfer-encoding"
            if chunks:
                return status, self.read_chunks(target)
            if status in (204, 304) or status < 200:
                return status, b""
            body = self.reader.read(length) if length is not None else self.reader.read()
        except TimeoutError:
            raise Wrong(f"{target}: no answer in {PATIENCE} s") from None
        except OSError as e:
            raise Wrong(f"{target}: {e!r}") from None
        if length is not None and len(body) < length:
            raise Wrong(f"{target}: {len(body)} bytes of {length}")
        return status, body

    def read_chunks(self, target):
        body = b""
        while True:
            line = self.reader.readline()
            if not line:
                raise Wrong(f"{target}: chunks end early")
            size = int(line, 16)
            body += self.reader.read(size)
            self.reader.readline()
            if size == 0:
                return body

    def get(self, target, **how):
        self.send(target, **how)
        return self.read(target)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.reader.close()
        self.sock.close()


# ---- polite

def pages(client, rng):
    size = rng.choice(FILES)
    target = rng.choice(["/files/", "/threads/", "/reading/", "/limited/"]) + str(size)
    if target == "/limited/300000":
        target, size = "/limited/5000", 5000
    expect(target, client.get(target), (200, PATTERN[:size]))
    expect("/return", client.get("/return"), (200, b"hello"))
    expect("range", client.get(f"/threads/{20000}", more="Range: bytes=1001-9000\r\n"), (206, PATTERN[1001:9001]))
    target = f"/lua/filtered/{size}"
    expect(target, client.get(target), (200, PATTERN[:size].upper()))


def proxied(client, rng):
    size = rng.choice([5, 4000, 60000])
    for place in ("/proxy/", "/unbuffered/", "/again/", "/patient/"):
        target = f"{place}{rng.choice(['ok', 'chunked', 'slow'])}?size={size}"
        expect(target, client.get(target), (200, PATTERN[:size]))
    target = f"/lua/filters/ok?size={size}"
    expect(target, client.get(target), (200, PATTERN[:size].upper()))


def posts(client, rng):
    data = rng.randbytes(rng.choice([1, 3000, 5000, 200000]))
    wanted = f"{len(data)} {hashlib.md5(data).hexdigest()}".encode()
    expect("/lua/body", client.get("/lua/body", method="POST", body=data), (200, wanted))
    for target in ("/proxy/ok?size=9", "/fresh/ok?size=9"):
        expect(target, client.get(target, method="POST", body=data), (200, PATTERN[:9]))
    # Behind a keepalive connection that the server has just closed, an unbuffered POST cannot be repeated.
    expect("/unbuffered/ok", client.get("/unbuffered/ok?size=9", method="POST", body=data)[0], 200, 502)


def scripts(client, rng):
    for target, wanted in (("/lua/sleep", b"hello"), ("/lua/socket", PATTERN[:5]), ("/lua/timer", b"hello"),
                           ("/lua/threads", PATTERN[:5] * 2 + b"01234"), ("/lua/capture", b"hello20000hello"),
                           ("/lua/semaphore", b"hello"), ("/lua/abort", b"hello"), ("/lua/name", b"hello"),
                           ("/lua/threads?kill=1", PATTERN[:5] * 2 + b"01234")):
        if rng.random() < 0.5:
            expect(target, client.get(target), (200, wanted))
    data = rng.randbytes(4500)
    expect("request socket", client.get("/lua/request_socket", method="POST", body=data), (200, b"4500"))
    expect("/lua/error", client.get("/lua/error")[0], 500)


def pipelined(client, rng):
    targets = ["/return", "/files/5000", "/lua/sleep", "/proxy/ok?size=5", "/return"]
    client.sock.sendall("".join(f"GET {t} HTTP/1.1\r\nHost: a\r\n\r\n" for t in targets).encode())
    for target, wanted in zip(targets, (b"hello", PATTERN[:5000], b"hello", PATTERN[:5], b"hello")):
        expect(f"pipelined {target}", client.read(target), (200, wanted))


def tunnels(client, rng):
    client.send("/tunnel", more="Upgrade: echo\r\nConnection: upgrade\r\n")
    expect("/tunnel", client.read("/tunnel")[0], 101)
    for size in (1, 1000, 30000):
        data = b"t" * size
        client.sock.sendall(data)
        expect("echo", client.reader.read(size), data)
    client.sock.sendall(b"end")
    expect("echo", client.reader.read(), b"end")


def at_leisure(client, rng):
    """Reads slowly, so that the server has to hold the response back."""
    target = rng.choice(["/proxy/ok?size=900000", "/fresh/ok?size=900000", "/threads/300000", "/files/300000"])
    client.send(target)
    time.sleep(rng.random() * 0.4)
    size = int(target.rpartition("/")[2].rpartition("=")[2])
    expect(target, client.read(target), (200, PATTERN[:size]))


def of_bad_upstreams(client, rng):
    """A bad upstream spoils its own answer only: an error, or a response that is seen to be incomplete."""
    kind = rng.choice(BAD).__name__
    target = f"{rng.choice(['/proxy/', '/unbuffered/', '/fresh/', '/lua/filters/'])}{kind}?size=3000"
    client.send(target)
    try:
        status, body = client.read(target)
    except Wrong as e:
        if "no answer" in str(e):
            raise
        return
    expect(target, status, 200, 502, 504)


POLITE = [pages, proxied, posts, scripts, pipelined, tunnels, at_leisure, of_bad_upstreams]

# ---- impolite: how they leave, at any moment

LUA = ["sleep", "sleep?ms=300", "socket", "socket?what=hang", "socket?what=any", "threads", "threads?leave=1", "capture",
       "timer", "semaphore?never=1", "abort", "error", "name"]


def some_target(rng):
    size = rng.choice([5, 5000, 100000, 900000])
    kind = rng.choice([*GOOD, *BAD]).__name__
    return rng.choice([
        lambda: rng.choice(["/files/", "/threads/", "/reading/", "/gzip/", "/limited/"]) + str(rng.choice(FILES)),
        lambda: rng.choice(["/proxy/", "/fresh/", "/unbuffered/", "/again/", "/patient/", "/lua/filters/"]) +
                f"{rng.choice([kind, 'hang'])}?size={size}",
        lambda: "/lua/" + rng.choice(LUA),
        lambda: "/mirrored",
    ])()


def leave(client, rng):
    manner = rng.randrange(4)
    if manner == 0:
        client.reset()
    elif manner == 1:
        client.sock.shutdown(socket.SHUT_WR)
        time.sleep(rng.random() * 0.02)
    elif manner == 2:
        client.sock.sendall(rng.randbytes(50))


def one_request(client, rng):
    client.send(some_target(rng))
    time.sleep(rng.choice([0, 0.002, 0.02, 0.1]))
    leave(client, rng)


def part_of_a_head(client, rng):
    text = f"GET {some_target(rng)} HTTP/1.1\r\nHost: a\r\nX: {'y' * rng.randrange(2000)}\r\n\r\n".encode()
    client.sock.sendall(text[:rng.randrange(len(text))])
    time.sleep(rng.random() * 0.02)
    leave(client, rng)


def part_of_a_body(client, rng):
    target = rng.choice(["/lua/body", "/lua/request_socket", "/proxy/ok", "/unbuffered/ok", "/unbuffered/early",
                         "/return", "/fresh/early"])
    size = rng.choice([100, 20000, 400000])
    if rng.random() < 0.5:
        more, data = f"Content-Length: {size}\r\n", rng.randbytes(rng.randrange(size))
    else:
        data = b"%x\r\n%s\r\n%s" % (size, rng.randbytes(size), rng.choice([b"", b"0", b"zz\r\n"]))
        more = "Transfer-Encoding: chunked\r\n"
    client.sock.sendall(f"POST {target} HTTP/1.1\r\nHost: a\r\n{more}\r\n".encode() + data)
    time.sleep(rng.random() * 0.02)
    leave(client, rng)


def many_at_once(client, rng):
    client.sock.sendall("".join(f"GET {some_target(rng)} HTTP/1.1\r\nHost: a\r\n\r\n" for _ in range(8)).encode())
    time.sleep(rng.random() * 0.05)
    leave(client, rng)


def noise(client, rng):
    client.sock.sendall(rng.randbytes(rng.randrange(1, 3000)))
    leave(client, rng)


def broken_tunnel(client, rng):
    client.send("/tunnel", more="Upgrade: echo\r\nConnection: upgrade\r\n")
    time.sleep(0.005)
    client.sock.sendall(rng.choice([b"x" * 100000, b"rst", b""]))
    leave(client, rng)


def unread(client, rng):
    """Asks for much and reads nothing."""
    client.send(rng.choice(["/proxy/ok?size=900000", "/unbuffered/ok?size=900000", "/files/300000", "/threads/300000",
                            "/lua/filters/ok?size=900000"]))
    time.sleep(rng.choice([0.05, 0.3]))
    leave(client, rng)


IMPOLITE = [one_request, one_request, part_of_a_head, part_of_a_body, many_at_once, noise, broken_tunnel, unread]
