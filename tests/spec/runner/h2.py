"""HTTP/2 from a client's side, by frames: for `request` sections and for scripts of single frames."""
import struct

from . import client, hpack
from .client import Closed, Connection, Response
from .text import Failure, clip, expand
from .tls import handshake

PREFACE = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
TYPES = {'data': 0, 'headers': 1, 'priority': 2, 'rst': 3, 'settings': 4, 'push': 5, 'ping': 6, 'goaway': 7,
         'window': 8, 'continuation': 9}
NAMES = {v: k for k, v in TYPES.items()}
END_STREAM, END_HEADERS = 1, 4
# What HTTP/2 does not carry as fields.
HOP = {'host', 'connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'proxy-connection'}


def frame(kind, flags, stream, payload=b''):
    return struct.pack('>I', len(payload))[1:] + struct.pack('>BBI', kind, flags, stream) + payload


class H2Connection:
    """A connection with its preface sent; frames that came are kept until somebody asks for them."""

    def __init__(self, address, tls, sni, deadline, settings=((4, 16 << 20),), window=64 << 20,
                 refill=True):
        self.conn = Connection(address, deadline, handshake(sni, ['h2']) if tls else None)
        self.decoder = hpack.Decoder()
        self.next_stream, self.came, self.block = 1, [], b''
        self.refill = refill
        self.eof, self.window, self.windows = False, 65535, {}
        self.peer_window, self.acked = 65535, False
        start = PREFACE + frame(4, 0, 0, b''.join(struct.pack('>HI', k, v) for k, v in settings))
        if window:
            start += frame(8, 0, 0, struct.pack('>I', window))
        self.send(start, deadline)

    def send(self, data, deadline):
        try:
            self.conn.send(data, deadline)
        except (BrokenPipeError, ConnectionResetError):
            pass  # what the server has said before it closed is still to be read

    def close(self):
        self.conn.close()

    # --- reading --------------------------------------------------------------------------------------

    def pump(self, deadline):
        """Reads one frame, which is (kind, flags, stream, payload); Closed at the end."""
        try:
            head = self.conn.take(9, deadline)
            payload = self.conn.take(int.from_bytes(head[:3], 'big'), deadline)
        except Closed:
            self.eof = True
            raise
        kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], 'big')
        if kind in (1, 9):
            self.block += payload
            if not flags & END_HEADERS:
                self.end = flags & END_STREAM
                return
            if kind == 9:
                flags |= self.end
            payload, self.block, kind = self.decoder.decode(self.block), b'', 1
        elif kind == 4 and not flags & 1:
            for at in range(0, len(payload), 6):
                key, value = struct.unpack('>HI', payload[at:at + 6])
                if key == 4:
                    self.windows = {s: w + value - self.peer_window for s, w in self.windows.items()}
                    self.peer_window = value
            self.send(frame(4, 1, 0), deadline)
        elif kind == 8:
            step = int.from_bytes(payload, 'big')
            if stream == 0:
                self.window += step
            elif stream in self.windows:
                self.windows[stream] += step
        elif kind == 0 and payload and self.refill:
            grow = struct.pack('>I', len(payload))
            self.send(frame(8, 0, 0, grow) + (b'' if flags & END_STREAM else frame(8, 0, stream, grow)), deadline)
        self.came.append((kind, flags, stream, payload))

    def find(self, test, deadline):
        """The first frame for which `test` holds, now or later; None when the connection ends before."""
        at = 0
        while True:
            while at < len(self.came):
                if test(*self.came[at]):
                    return self.came.pop(at)
                at += 1
            try:
                self.pump(deadline)
            except Closed:
                return None

    # --- whole requests -------------------------------------------------------------------------------

    def submit(self, fields, body, deadline):
        stream, self.next_stream = self.next_stream, self.next_stream + 2
        self.windows[stream] = self.peer_window
        self.send_head(stream, fields, body is None, deadline)
        if body is not None:
            self.send_body(stream, body, deadline)
        return stream

    def send_head(self, stream, fields, end, deadline):
        block = hpack.encode(fields)
        out, kind, flags = b'', 1, END_STREAM if end else 0
        while True:
            part, block = block[:16384], block[16384:]
            out += frame(kind, flags | (0 if block else END_HEADERS), stream, part)
            kind, flags = 9, 0
            if not block:
                break
        self.send(out, deadline)

    def send_body(self, stream, body, deadline, end=True):
        """As fast as the windows allow; stops when the stream or the connection is over."""
        while True:
            room = min(self.window, self.windows[stream], 16384)
            part = body[:max(room, 0)]
            if part or not body:
                body = body[len(part):]
                self.window -= len(part)
                self.windows[stream] -= len(part)
                self.send(frame(0, END_STREAM if end and not body else 0, stream, part), deadline)
                if not body:
                    return
                continue
            try:
                self.pump(deadline)
            except Closed:
                return
            if any(s == stream and (k == 3 or k in (0, 1) and f & END_STREAM) for k, f, s, _ in self.came):
                return

    def read_response(self, stream, deadline):
        """None when the stream was reset, or the connection closed, before a head came."""
        response, wire = None, b''
        interim = []
        while True:
            got = self.find(lambda k, f, s, p: s == stream and k in (0, 1, 3), deadline)
            if got is None:
                if response is None:
                    return None
                raise Failure('the connection was closed in the middle of the response; it had:\n' + clip(wire))
            kind, flags, _, payload = got
            if kind == 3:
                code = int.from_bytes(payload, 'big')
                if response is None:
                    return None
                raise Failure(f'the stream was reset with {code} in the middle of the response; it had:\n{clip(wire)}')
            if kind == 0:
                response.body += payload
                wire += payload
            elif response is not None:
                response.trailers = payload
            else:
                status = check_head(payload)
                wire += b''.join(f'{k}: {v}\r\n'.encode('utf-8', 'surrogateescape') for k, v in payload) + b'\r\n'
                if status < 200:
                    interim.append(status)
                    continue
                response = Response()
                response.version, response.status, response.interim = '2', status, interim
                response.headers = [(k, v) for k, v in payload if not k.startswith(':')]
            if flags & END_STREAM:
                lengths = response.values('content-length')
                if lengths and response.body and int(lengths[0]) != len(response.body):
                    raise Failure(f'Content-Length is {lengths[0]}, the body has {len(response.body)} bytes')
                response.wire = wire
                return response


def check_head(fields):
    if not fields or fields[0][0] != ':status' or any(k.startswith(':') for k, _ in fields[1:]):
        raise Failure(f'bad pseudo fields in the response: {fields}')
    for name, value in fields:
        if name != name.lower() or name in HOP or value != value.strip(' \t'):
            raise Failure(f'a field that HTTP/2 does not allow: {name}: {value}')
    return int(fields[0][1])


def address_of(run, section):
    port = expand(section.option('port', '$PORT'), run.names)
    return expand(section.option('addr', f'127.0.0.1:{port}'), run.names)


def fields_of(method, target, lines, scheme):
    host = next((v.strip() for k, v in lines if k.lower() == 'host'), 'localhost')
    fields = [(':method', method), (':scheme', scheme), (':path', target), (':authority', host)]
    return fields + [(k.lower(), v.strip()) for k, v in lines if k.lower() not in HOP]


def exchange(run, section):
    """Sends a `request` section and reads its response."""
    wire, method = client.build_request(section, run.names, True)
    head, _, body = wire.partition(b'\r\n\r\n')
    lines = head.decode('utf-8', 'surrogateescape').split('\r\n')
    target = lines[0].split(' ')[1]
    pairs = [(k, v) for k, _, v in (x.partition(':') for x in lines[1:])]
    if section.flag('chunked') or section.option('chunked'):
        body = expand(section.text, run.names).partition('\n\n')[2].rstrip('\n').encode('utf-8', 'surrogateescape')
    tls, name = section.flag('tls'), section.option('conn')
    conn = run.connections.get(name)
    if conn is None:
        conn = H2Connection(address_of(run, section), tls, section.option('sni'), run.deadline())
        run.connections[name if name else object()] = conn
    has_body = body or section.flag('chunked') or any(k.lower() == 'content-length' for k, _ in pairs)
    stream = conn.submit(fields_of(method, target, pairs, 'https' if tls else 'http'), body if has_body else None,
                         run.deadline())
    return None if section.flag('nowait') else conn.read_response(stream, run.deadline())
