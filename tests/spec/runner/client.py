"""The HTTP side of the tests: a strict little client that shows exactly what came over the wire."""
import re
import socket
import ssl
import time

from .text import Failure, clip, expand, raw_bytes


class Closed(Exception):
    """The peer closed the connection before the expected bytes came."""


class Response:
    def __init__(self):
        self.status, self.reason, self.version = 0, '', ''
        self.headers, self.trailers, self.interim = [], [], []
        self.body, self.wire = b'', b''

    def values(self, name):
        return [v for k, v in self.headers if k.lower() == name.lower()]


class Connection:
    """One client connection; keeps what was read beyond the last response."""

    def __init__(self, address, deadline, wrap=None):
        if address.startswith('unix:'):
            self.sock = socket.socket(socket.AF_UNIX)
            target = address[5:]
        else:
            host, _, port = address.rpartition(':')
            host = host.strip('[]')
            self.sock = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET)
            target = (host, int(port))
        self.sock.settimeout(max(0.01, deadline - time.monotonic()))
        self.sock.connect(target)
        if not address.startswith('unix:'):
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if wrap is not None:
            self.sock = wrap(self.sock)  # None: the handshake was refused, as expected
        self.pending = b''
        self.eof = False
        self.methods = []  # of the requests whose responses are still to come
        self.keep = True

    def send(self, data, deadline, every=0):
        self.sock.settimeout(max(0.01, deadline - time.monotonic()))
        if not every:
            self.sock.sendall(data)
            return
        for at in range(0, len(data), every):
            self.sock.sendall(data[at:at + every])
            time.sleep(0.0005)  # lets the kernel hand the piece over on its own; nothing waits for it

    def fill(self, deadline):
        """Reads more; raises Closed at the end of the stream."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise Failure(f'timed out waiting for the response; read so far:\n{clip(self.pending)}')
        self.sock.settimeout(left)
        try:
            data = self.sock.recv(65536)
        except TimeoutError:
            raise Failure(f'timed out waiting for the response; read so far:\n{clip(self.pending)}') from None
        except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError):
            data = b''
        if not data:
            self.eof = True
            raise Closed
        self.pending += data

    def take(self, size, deadline):
        while len(self.pending) < size:
            self.fill(deadline)
        data, self.pending = self.pending[:size], self.pending[size:]
        return data

    def line(self, deadline):
        while b'\n' not in self.pending:
            self.fill(deadline)
        at = self.pending.index(b'\n') + 1
        data, self.pending = self.pending[:at], self.pending[at:]
        if not data.endswith(b'\r\n'):
            raise Failure(f'a line of the response ends without CR: {data!r}')
        return data

    def wait_eof(self, deadline):
        try:
            while True:
                self.fill(deadline)
        except Closed:
            pass

    def close(self):
        if self.sock is not None:
            self.sock.close()


class RecordingReader:
    """Reads one response from a connection and remembers its bytes."""

    def __init__(self, conn, deadline):
        self.conn, self.deadline, self.wire = conn, deadline, []

    def line(self):
        data = self.conn.line(self.deadline)
        self.wire.append(data)
        return data

    def take(self, size):
        data = self.conn.take(size, self.deadline)
        self.wire.append(data)
        return data

    def rest(self):
        self.conn.wait_eof(self.deadline)
        data, self.conn.pending = self.conn.pending, b''
        self.wire.append(data)
        return data

    def fields(self):
        out = []
        while True:
            line = self.line()[:-2]
            if not line:
                return out
            name, colon, value = line.partition(b':')
            if not colon or not re.fullmatch(rb'[!-~]+', name):
                raise Failure(f'bad header line in the response: {line!r}')
            out.append((name.decode(), value.strip(b' \t').decode('utf-8', 'surrogateescape')))

    def chunked(self):
        body = b''
        while True:
            head = self.line()[:-2].split(b';')[0].strip()
            if not re.fullmatch(rb'[0-9a-fA-F]+', head):
                raise Failure(f'bad chunk size in the response: {head!r}')
            size = int(head, 16)
            if size == 0:
                return body
            body += self.take(size)
            if self.take(2) != b'\r\n':
                raise Failure('a chunk of the response is not followed by CRLF')


def read_response(conn, deadline):
    """The next response of a connection, or None when it was closed without a byte."""
    reader, response = RecordingReader(conn, deadline), Response()
    method = conn.methods.pop(0) if conn.methods else 'GET'
    try:
        while True:
            line = reader.line()[:-2].decode('latin-1')
            match = re.fullmatch(r'(HTTP/1\.[01]) (\d{3})(?: (.*))?', line)
            if not match:
                raise Failure(f'not a status line: {line!r}')
            response.version, response.status, response.reason = match[1], int(match[2]), match[3] or ''
            response.headers = reader.fields()
            if response.status >= 200 or response.status == 101:
                break
            response.interim.append(response.status)
        read_body(reader, response, method)
    except Closed:
        if not reader.wire and not conn.pending:
            return None
        raise Failure('the connection was closed in the middle of the response; it had:\n' +
                      clip(b''.join(reader.wire) + conn.pending)) from None
    response.wire = b''.join(reader.wire)
    return response


def read_body(reader, response, method):
    coding = ', '.join(response.values('Transfer-Encoding')).lower()
    lengths = response.values('Content-Length')
    if coding and lengths:
        raise Failure('the response has both Transfer-Encoding and Content-Length')
    if len(set(lengths)) > 1:
        raise Failure(f'the response has several lengths: {lengths}')
    if method == 'HEAD' or response.status in (204, 304, 101):
        return
    if coding:
        if coding != 'chunked':
            raise Failure(f'unexpected Transfer-Encoding: {coding}')
        response.body = reader.chunked()
        response.trailers = reader.fields()
    elif lengths:
        response.body = reader.take(int(lengths[0]))
    else:
        response.body = reader.rest()


def build_request(section, names, named):
    """The bytes of a `request` section and its method."""
    text = expand(section.text, names)
    head, _, body = text.partition('\n\n')
    lines = head.rstrip('\n').split('\n')
    words = lines[0].split(' ')
    method, version = words[0], words[-1] if words[-1].startswith('HTTP/') else 'HTTP/1.1'
    if not words[-1].startswith('HTTP/'):
        words.append(version)
    head_lines = [' '.join(words)]
    given = {x.partition(':')[0].lower() for x in lines[1:]}
    data = body.rstrip('\n').encode('utf-8', 'surrogateescape')
    if 'host' not in given:
        head_lines.append('Host: localhost')
    if 'connection' not in given and not named:
        head_lines.append('Connection: close')
    head_lines += lines[1:]
    pieces = section.option('chunked')
    if section.flag('chunked') or pieces:
        head_lines.append('Transfer-Encoding: chunked')
        step = int(pieces or len(data) or 1)
        data = b''.join(b'%x\r\n%s\r\n' % (len(data[i:i + step]), data[i:i + step])
                        for i in range(0, len(data), step)) + b'0\r\n\r\n'
    elif body and not given & {'content-length', 'transfer-encoding'}:
        head_lines.append(f'Content-Length: {len(data)}')
    wire = ''.join(x + '\r\n' for x in head_lines).encode('utf-8', 'surrogateescape') + b'\r\n' + data
    return wire, method


def build_raw(section, names):
    """The bytes of a `raw` section and the methods of the requests that it seems to hold."""
    data = raw_bytes(section, names)
    return data, [m.decode() for m in re.findall(rb'^([A-Z]+) \S+ HTTP/', data, re.M)]
