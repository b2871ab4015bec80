"""Scripted peers for the server under test: TCP, UDP and DNS. README.md lists the commands."""
import os
import re
import select
import socket
import struct
import threading
import time

from .text import expand, unescape


class Script:
    """The commands for one connection after another; the last list serves all further connections."""

    def __init__(self, text):
        self.connections = [[]]
        for line in text.splitlines():
            line = line.strip()
            if not line or line.startswith('#'):
                continue
            command, _, rest = line.partition(' ')
            if command == 'accept':
                if self.connections[-1]:
                    self.connections.append([])
            else:
                self.connections[-1].append((command, rest.strip()))

    def commands(self, number):
        return self.connections[min(number, len(self.connections) - 1)]


def quoted(text):
    text = text.strip()
    return unescape(text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text)


class Mock:
    """What TCP and UDP mocks share: what they saw, what went wrong, how they end."""

    def __init__(self, where):
        self.where, self.saw, self.errors, self.count = where, b'', [], 0
        self.closing = threading.Event()
        self.lock = threading.Lock()
        self.threads = []

    def spawn(self, target, *args):
        thread = threading.Thread(target=target, args=args, daemon=True)
        thread.start()
        self.threads.append(thread)

    def note(self, data):
        with self.lock:
            self.saw += data

    def fail(self, text):
        if not self.closing.is_set():
            self.errors.append(f'mock {self.where}: {text}')

    def stop(self):
        self.closing.set()
        for thread in self.threads:
            thread.join(2)


class TcpMock(Mock):
    def __init__(self, where, script):
        super().__init__(where)
        self.script = Script(script)
        if where.startswith('unix:'):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.bind(where[5:])
            os.chmod(where[5:], 0o666)
        else:
            self.sock = socket.socket()
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.sock.bind(('127.0.0.1', int(where)))
        self.sock.listen(64)
        self.spawn(self.accept)

    def accept(self):
        while not self.closing.is_set():
            if not select.select([self.sock], [], [], 0.05)[0]:
                continue
            conn, _ = self.sock.accept()
            with self.lock:
                number, self.count = self.count, self.count + 1
            self.spawn(self.serve, conn, number)
        self.sock.close()

    def serve(self, conn, number):
        peer = Peer(self, conn)
        try:
            for command, rest in self.script.commands(number):
                if not peer.run(command, rest):
                    return
        except (OSError, EOFError) as error:
            self.fail(f'connection {number + 1}: {command} {rest}: {error}')
        except (ValueError, KeyError) as error:
            self.fail(f'bad command "{command} {rest}": {error!r}')
        finally:
            conn.close()


class Peer:
    """One connection of a TCP mock."""

    def __init__(self, mock, conn):
        self.mock, self.conn, self.pending, self.ended = mock, conn, b'', False

    def fill(self):
        deadline = time.monotonic() + 20
        while not select.select([self.conn], [], [], 0.02)[0]:
            if self.mock.closing.is_set() or time.monotonic() > deadline:
                raise EOFError('nothing more came')
        data = self.conn.recv(65536)
        if not data:
            self.ended = True
            raise EOFError('the peer closed')
        self.mock.note(data)
        self.pending += data

    def take(self, size):
        while len(self.pending) < size:
            self.fill()
        data, self.pending = self.pending[:size], self.pending[size:]
        return data

    def until(self, mark):
        while mark not in self.pending:
            self.fill()
        return self.take(self.pending.index(mark) + len(mark))

    def http(self):
        head = self.until(b'\r\n\r\n')
        body = b''
        length = re.search(rb'^content-length:\s*(\d+)', head, re.I | re.M)
        if length:
            body = self.take(int(length[1]))
        elif re.search(rb'^transfer-encoding:.*chunked', head, re.I | re.M):
            while True:
                line = self.until(b'\r\n')
                size = int(line.split(b';')[0], 16)
                body += self.take(size)
                self.until(b'\r\n')
                if not size:
                    break
        return head, body

    def run(self, command, rest):
        """One command; False ends the connection."""
        if command == 'send':
            self.conn.sendall(quoted(rest))
        elif command == 'http':
            self.http()
        elif command == 'echo_http':
            head, body = self.http()
            data = head + body
            self.conn.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s' % (len(data), data))
        elif command == 'reply':  # a whole response with this body
            data = quoted(rest)
            self.conn.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s' % (len(data), data))
        elif command == 'read':
            self.take(int(rest))
        elif command == 'line':
            self.until(b'\n')
        elif command == 'until':
            self.until(quoted(rest))
        elif command == 'expect':
            want = quoted(rest)
            got = self.take(len(want))
            if got != want:
                self.mock.fail(f'expected {want!r}, got {got!r}')
                return False
        elif command == 'repeat':  # the same command until the peer goes away
            name, _, args = rest.partition(' ')
            try:
                while self.run(name, args.strip()):
                    pass
            except (EOFError, OSError):
                return False
        elif command == 'hold':  # until the peer closes
            try:
                while True:
                    self.fill()
                    self.pending = b''
            except (EOFError, OSError):
                pass
        elif command == 'expect_close':
            try:
                self.fill()
                self.mock.fail(f'expected the end of the connection, got {self.pending!r}')
            except EOFError:
                if not self.ended:
                    self.mock.fail('expected the end of the connection')
            return False
        elif command == 'delay':
            time.sleep(float(rest))
        elif command == 'shutdown':
            self.conn.shutdown(socket.SHUT_WR)
        elif command == 'reset':
            self.conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            return False
        elif command == 'close':
            return False
        else:
            raise ValueError('unknown command')
        return True


class UdpMock(Mock):
    """Answers datagrams: each `expect`/`any` waits for one, each `send` answers the last one that came."""

    def __init__(self, where, script):
        super().__init__(where)
        self.script = Script(script).commands(0)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(('127.0.0.1', int(where)))
        self.sock.settimeout(0.05)
        self.spawn(self.serve)

    def receive(self):
        while not self.closing.is_set():
            try:
                data, peer = self.sock.recvfrom(65536)
            except TimeoutError:
                continue
            self.note(data)
            self.count += 1
            return data, peer
        raise EOFError

    def serve(self):
        peer = None
        try:
            for command, rest in self.script:
                if command in ('expect', 'any'):
                    data, peer = self.receive()
                    if command == 'expect' and data != quoted(rest):
                        self.fail(f'expected {quoted(rest)!r}, got {data!r}')
                elif command == 'send':
                    self.sock.sendto(quoted(rest), peer)
                elif command == 'delay':
                    time.sleep(float(rest))
                elif command == 'echo':
                    while True:
                        data, peer = self.receive()
                        self.sock.sendto(data, peer)
                else:
                    self.fail(f'unknown command "{command}"')
            while True:
                self.receive()
        except (EOFError, OSError):
            pass
        finally:
            self.sock.close()


DNS_TYPES = {'A': 1, 'CNAME': 5, 'PTR': 12, 'AAAA': 28, 'SRV': 33}
DNS_CODES = {'FORMERR': 1, 'SERVFAIL': 2, 'NXDOMAIN': 3, 'NOTIMP': 4, 'REFUSED': 5}


def dns_name(name):
    return b''.join(bytes([len(x)]) + x.encode() for x in name.rstrip('.').split('.')) + b'\0'


class DnsMock(Mock):
    """A DNS server from lines `NAME TYPE VALUE [ttl=N]`, `NAME NXDOMAIN` or `NAME SILENT`; others get NXDOMAIN."""

    def __init__(self, where, script):
        super().__init__(where)
        self.records = {}
        for line in script.splitlines():
            words = line.split('#')[0].split()
            if words:
                self.records.setdefault(words[0].lower().rstrip('.'), []).append(words[1:])
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(('127.0.0.1', int(where)))
        self.sock.settimeout(0.05)
        self.spawn(self.serve)

    def serve(self):
        while not self.closing.is_set():
            try:
                query, peer = self.sock.recvfrom(4096)
            except TimeoutError:
                continue
            except OSError:
                break
            self.count += 1
            answer = self.answer(query)
            if answer:
                self.sock.sendto(answer, peer)
        self.sock.close()

    def answer(self, query):
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode('latin-1').lower())
            at += 1 + query[at]
        name, (kind,) = '.'.join(labels), struct.unpack('>H', query[at + 1:at + 3])
        self.note(f'{name} {next((k for k, v in DNS_TYPES.items() if v == kind), kind)}\n'.encode())
        question, code, answers = query[12:at + 5], 0, []
        rows = self.records.get(name)
        if rows is None:
            code = 3
        for row in rows or []:
            ttl = next((int(w[4:]) for w in row if w.startswith('ttl=')), 60)
            if row[0] == 'SILENT':
                return None
            if row[0] in DNS_CODES:
                code = DNS_CODES[row[0]]
            elif DNS_TYPES[row[0]] == kind or row[0] == 'CNAME':
                answers.append(self.record(name, row, ttl))
                if row[0] == 'CNAME':
                    for other in self.records.get(row[1].lower().rstrip('.'), []):
                        if DNS_TYPES.get(other[0]) == kind:
                            answers.append(self.record(row[1], other, ttl))
        head = query[:2] + struct.pack('>HHHHH', 0x8180 | code, 1, len(answers), 0, 0)
        return head + question + b''.join(answers)

    def record(self, name, row, ttl):
        kind, value = row[0], row[1]
        if kind == 'A':
            data = socket.inet_aton(value)
        elif kind == 'AAAA':
            data = socket.inet_pton(socket.AF_INET6, value)
        elif kind == 'SRV':  # priority weight port target
            data = struct.pack('>HHH', *(int(x) for x in row[1:4])) + dns_name(row[4])
        else:
            data = dns_name(value)
        return dns_name(name) + struct.pack('>HHIH', DNS_TYPES[kind], 1, ttl, len(data)) + data


def start_mocks(block, names):
    """The mocks of a block, by their address."""
    kinds = {'tcp': TcpMock, 'udp': UdpMock, 'dns': DnsMock}
    mocks = {}
    for section in block.setup:
        if section.name in kinds:
            where = expand(section.words[0], names)
            mocks[where] = kinds[section.name](where, expand(section.text, names))
    return mocks
