"""A MySQL server that plays a script: for logins MariaDB does not have, and for malformed replies."""

import contextlib
import hashlib
import os
import socket
import ssl
import struct
import subprocess
import threading

from . import databases, process

SALT = bytes(range(65, 85))
MORE_RESULTS = 8
SSL_FLAG = 0x800


def lenenc(n):
    if n < 251:
        return bytes([n])
    if n < 0x10000:
        return b"\xfc" + struct.pack("<H", n)
    if n < 0x1000000:
        return b"\xfd" + struct.pack("<I", n)[:3]
    return b"\xfe" + struct.pack("<Q", n)


def string(s):
    return lenenc(len(s)) + s


def greeting(plugin=b"mysql_native_password", salt=SALT, flags=0x000aa200, version=b"8.0.99-script"):
    return (b"\x0a" + version + b"\0" + struct.pack("<I", 7) + salt[:8] + b"\0" + struct.pack("<H", flags & 0xffff) + b"\x2d"
            + struct.pack("<HH", 2, flags >> 16) + bytes([len(salt) + 1]) + bytes(10) + salt[8:] + b"\0" + plugin + b"\0")


def ok(affected=0, insert_id=0, status=2, warnings=0, message=b""):
    return b"\0" + lenenc(affected) + lenenc(insert_id) + struct.pack("<HH", status, warnings) + (string(message) if message else b"")


def error(number, message, state=b"HY000"):
    return b"\xff" + struct.pack("<H", number) + (b"#" + state if state else b"") + message


def eof(status=2):
    return b"\xfe" + struct.pack("<HH", 0, status)


def column(name, kind=0xfd):
    return (string(b"def") + string(b"db") + string(b"t") + string(b"t") + string(name) + string(name) + b"\x0c"
            + struct.pack("<HIBHB", 45, 255, kind, 0, 0) + b"\0\0")


def row(*values):
    return b"".join(b"\xfb" if v is None else string(v) for v in values)


def native_token(password, salt):
    one = hashlib.sha1(password).digest()
    two = hashlib.sha1(salt + hashlib.sha1(one).digest()).digest()
    return bytes(a ^ b for a, b in zip(one, two))


def sha2_token(password, salt):
    one = hashlib.sha256(password).digest()
    two = hashlib.sha256(hashlib.sha256(one).digest() + salt).digest()
    return bytes(a ^ b for a, b in zip(one, two))


class Closed(Exception):
    """The client closed the connection."""


class Connection:
    def __init__(self, sock):
        self.sock = sock
        self.seq = 0

    def send(self, *payloads, seq=None):
        """Sends each payload as one packet, all in one write."""
        data = b""
        for payload in payloads:
            if seq is not None:
                self.seq = seq
            data += struct.pack("<I", len(payload))[:3] + bytes([self.seq]) + payload
            self.seq = (self.seq + 1) & 255
        self.sock.sendall(data)

    def _exactly(self, n):
        data = b""
        while len(data) < n:
            piece = self.sock.recv(n - len(data))
            if not piece:
                raise Closed
            data += piece
        return data

    def receive(self):
        head = self._exactly(4)
        self.seq = (head[3] + 1) & 255
        return self._exactly(head[0] | head[1] << 8 | head[2] << 16)

    def receive_login(self):
        """The client's login: user, answer to the challenge, plugin, database, flags."""
        data = self.receive()
        flags, = struct.unpack("<I", data[:4])
        user, rest = data[32:].split(b"\0", 1)
        token, rest = rest[1:1 + rest[0]], rest[1 + rest[0]:]
        database, rest = rest.split(b"\0", 1)
        return {"user": user, "token": token, "database": database, "plugin": rest.rstrip(b"\0"), "flags": flags}

    def start_tls(self, key, cert):
        request = self.receive()
        assert len(request) == 32 and struct.unpack("<I", request[:4])[0] & SSL_FLAG
        seq = self.seq
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self.sock = context.wrap_socket(self.sock, server_side=True)
        self.seq = seq

    def serve(self, *replies):
        """Answers the next command with these packets."""
        command = self.receive()
        self.send(*replies)
        return command


class ScriptedServer(contextlib.AbstractContextManager):
    """Runs `script(connection)` for every connection. What a script raises is kept in `failures`, what it returns
    in `results`."""

    def __init__(self, script=None):
        self.script = script
        self.failures = []
        self.results = []
        self.folder = process.folder("mp-mysql-script-")
        self.port = process.free_port()
        self.path = os.path.join(self.folder, "sock")
        self._listeners = []
        for family, address in ((socket.AF_INET, ("127.0.0.1", self.port)), (socket.AF_UNIX, self.path)):
            listener = socket.socket(family)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(64)
            self._listeners.append(listener)
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        os.chmod(self.path, 0o777)

    def __exit__(self, *_):
        for listener in self._listeners:
            listener.close()

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._run, args=(sock,), daemon=True).start()

    def _run(self, sock):
        connection = Connection(sock)
        try:
            self.results.append(self.script(connection))
        except (Closed, ConnectionError):
            pass
        except Exception as e:  # a failed assertion in the script, for the test to report
            self.failures.append(e)
        finally:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)
            connection.sock.close()

    def key_pair(self):
        """An RSA key and a certificate for it, as PEM files."""
        return databases.certificate(self.folder)

    def public_key(self):
        key, _ = self.key_pair()
        return subprocess.run(["openssl", "pkey", "-in", key, "-pubout"], check=True, capture_output=True).stdout

    def decrypt(self, data):
        """What RSA-OAEP encrypted for our public key."""
        key, _ = self.key_pair()
        return subprocess.run(
            ["openssl", "pkeyutl", "-decrypt", "-inkey", key, "-pkeyopt", "rsa_padding_mode:oaep"],
            input=data, check=True, capture_output=True).stdout
