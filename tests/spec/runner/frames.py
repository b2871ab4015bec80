"""The `frames` step: a script of single HTTP/2 frames, sent and expected, for what no real client does."""
import re
import struct

from .client import Closed
from .h2 import END_HEADERS, END_STREAM, NAMES, TYPES, H2Connection, address_of, fields_of, frame
from .text import Failure, clip, expand, unescape
from . import hpack


class Script:
    def __init__(self, run, section):
        self.run, self.section = run, section
        name = section.option('conn')
        self.conn = run.connections.get(name)
        if self.conn is None:
            settings = [tuple(int(y, 0) for y in x.split('=')) for x in (section.option('settings') or '4=16777216').split(',') if '=' in x]
            self.conn = H2Connection(address_of(run, section), section.flag('tls'), section.option('sni'),
                                     run.deadline(), settings, int(section.option('window', str(64 << 20))), False)
            run.connections[name if name else object()] = self.conn

    def play(self):
        for line in expand(self.section.text, self.run.names).split('\n'):
            if line.strip() and not line.startswith('#'):
                try:
                    self.command(line)
                except Failure as failure:
                    raise Failure(f'"{line}": {failure}') from None

    def command(self, line):
        words = re.findall(r'(?:[^\s"]|"(?:\\.|[^"\\])*")+', line)
        if words[0] == 'times':
            data = b''.join(self.encode(words[2:]) for _ in range(int(words[1])))
            self.conn.send(data, self.run.deadline())
        elif words[0] == 'streams':
            # `streams N FIRST COMMAND`: the command for N streams, `ID` standing for each
            first = int(words[2])
            data = b''.join(self.encode([w.replace('ID', str(first + 2 * i)) for w in words[3:]])
                            for i in range(int(words[1])))
            self.conn.send(data, self.run.deadline())
        elif words[0] == 'expect':
            self.expect(words[1:])
        elif words[0] == 'lacks':
            self.lacks(words[1:])
        elif words[0] == 'response':
            self.response(words[1:])
        else:
            self.conn.send(self.encode(words), self.run.deadline())

    # --- sending --------------------------------------------------------------------------------------

    def encode(self, words):
        kind, rest = words[0], words[1:]
        if kind == 'raw':
            return b''.join(text(w) for w in rest)
        if kind == 'settings':
            if rest == ['ack']:
                return frame(4, 1, 0)
            return frame(4, 0, 0, b''.join(struct.pack('>HI', *(int(x, 0) for x in w.split('='))) for w in rest))
        if kind == 'ping':
            return frame(6, 0, 0, text(rest[0]) if rest else b'12345678')
        if kind == 'window':
            return frame(8, 0, int(rest[0]), struct.pack('>I', int(rest[1])))
        if kind == 'rst':
            return frame(3, 0, int(rest[0]), struct.pack('>I', int(rest[1])))
        if kind == 'goaway':
            return frame(7, 0, 0, struct.pack('>II', int(rest[0]), int(rest[1])))
        if kind == 'priority':
            return frame(2, 0, int(rest[0]), struct.pack('>IB', int(rest[1]), int(rest[2])))
        if kind == 'data':
            flags = END_STREAM if 'end' in rest[1:2] else 0
            return frame(0, flags, int(rest[0]), b''.join(text(w) for w in rest[1 + bool(flags):]))
        if kind in ('headers', 'fields', 'continuation'):
            return self.head(kind, rest)
        raise Failure(f'unknown command {kind}')

    def head(self, kind, rest):
        """headers ID [end] [open] [indexed] METHOD TARGET [name:value...]; fields ID ... name:value with no request line."""
        stream, rest, flags = int(rest[0]), rest[1:], END_HEADERS
        indexed = False
        while rest and rest[0] in ('end', 'open', 'indexed'):
            if rest[0] == 'end':
                flags |= END_STREAM
            elif rest[0] == 'open':
                flags &= ~END_HEADERS
            indexed = indexed or rest[0] == 'indexed'
            rest = rest[1:]
        fields = []
        if kind == 'headers':
            fields, rest = fields_of(rest[0], rest[1], [], 'http'), rest[2:]
        for word in rest:
            if word.startswith('"'):
                word = word[1:-1]
            name, _, value = word[1:].partition(':') if word.startswith(':') else word.partition(':')
            fields.append((text((':' if word.startswith(':') else '') + name), text(value)))
        return frame(9 if kind == 'continuation' else 1, flags, stream, hpack.encode(fields, indexed))

    # --- what must come -------------------------------------------------------------------------------

    def expect(self, words):
        """expect TYPE [ID] [ack|end] [key=value...]; expect closed."""
        if words[0] == 'closed':
            while not self.conn.eof:
                try:
                    self.conn.pump(self.run.deadline())
                except Closed:
                    return
            return
        got = self.conn.find(self.matcher(words), self.run.deadline())
        if got is None:
            raise Failure('the connection was closed; it had: ' + clip(', '.join(show(x) for x in self.conn.came)))

    def matcher(self, words):
        kind, stream = TYPES[words[0]], None
        checks = []
        for word in words[1:]:
            key, equals, value = word.partition('=')
            if not equals and word.isdigit():
                stream = int(word)
            elif word in ('ack', 'end'):
                checks.append(lambda f, p: f & 1)
            elif key == 'code':
                at = 4 if kind == 7 else 0
                checks.append(lambda f, p, v=int(value), at=at: int.from_bytes(p[at:at + 4], 'big') == v)
            elif key == 'last':
                checks.append(lambda f, p, v=int(value): int.from_bytes(p[:4], 'big') == v)
            elif key == 'size':
                checks.append(lambda f, p, v=int(value): len(p) == v)
            elif key == 'text':
                checks.append(lambda f, p, v=text(value): p == v)
            elif key == 'setting':
                number, _, amount = value.partition(':')
                entry = struct.pack('>HI', int(number), int(amount))
                checks.append(lambda f, p, e=entry: any(p[i:i + 6] == e for i in range(0, len(p), 6)))
            elif kind == 1:
                checks.append(lambda f, p, k=key, v=value: (k, v) in p)
            else:
                raise Failure(f'unknown condition {word}')
        return lambda k, f, s, p: k == kind and (stream is None or s == stream) and all(c(f, p) for c in checks)

    def lacks(self, words):
        """No such frame before the answer to a ping."""
        matches = self.matcher(words)
        self.conn.send(frame(6, 0, 0, b'until-me'), self.run.deadline())
        self.conn.find(lambda k, f, s, p: k == 6 and p == b'until-me', self.run.deadline())
        for got in self.conn.came:
            if matches(*got):
                raise Failure(f'it came: {show(got)}')

    def response(self, words):
        """response ID: reads it; the checks below are about it."""
        self.run.response = self.conn.read_response(int(words[0]), self.run.deadline())
        self.run.status_seen = False
        for word in words[1:]:
            key, _, value = word.partition('=')
            self.run.status_seen = True
            got = self.run.need()
            if key == 'status' and got.status != int(value):
                raise Failure(f'status is {got.status}; body:\n{clip(got.body)}')
            if key == 'body' and got.body != text(value):
                raise Failure(f'body is {clip(got.body)}')


def text(word):
    if len(word) >= 2 and word[0] == word[-1] == '"':
        word = word[1:-1]
    return unescape(word)


def show(got):
    kind, flags, stream, payload = got
    return f'{NAMES.get(kind, kind)} {stream} flags={flags} {payload[:40]}'


def play(run, section):
    Script(run, section).play()
