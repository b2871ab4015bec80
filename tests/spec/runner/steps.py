"""Carries out one block: its steps in order, each followed by the checks that stand below it."""
import gzip
import re
import subprocess
import time

from . import client, tls
from .services import start_services
from .mocks import start_mocks
from .text import Failure, check_text, clip, expand


class BlockRun:
    """The state of one block while it runs on a server."""

    def __init__(self, block, server, options, mocks):
        self.block, self.server, self.options, self.mocks = block, server, options, mocks
        self.names = server.names
        self.timeout = float(block.marks.get('timeout', '5')) * options.slow
        self.connections, self.anonymous = {}, None
        self.response, self.process, self.conn = None, None, None
        self.status_seen = True
        self.allowed, self.at_end = [], []
        # What a server said while it started belongs to the block it was started for.
        self.log_from = len(server.read(server.error_log)) if server.used else 0
        server.used = True

    def deadline(self):
        return time.monotonic() + self.timeout

    def run(self):
        for section in self.block.steps:
            if section.name in ('error_log', 'access_log', 'file'):
                self.allow(section)
        for section in self.block.steps:
            try:
                if section.name in STEP_CODE:
                    self.default_status()
                    STEP_CODE[section.name](self, section)
                else:
                    CHECK_CODE[section.name](self, section)
            except Failure as failure:
                raise Failure(f'line {section.line}, {section.name}: {failure}') from None
            except client.Closed:
                raise Failure(f'line {section.line}, {section.name}: the connection was closed') from None
            except OSError as error:
                raise Failure(f'line {section.line}, {section.name}: {error}') from None
        self.default_status()

    def default_status(self):
        """A response nobody asked about must be a 200."""
        if not self.status_seen:
            self.status_seen = True
            if self.response is None:
                raise Failure('the connection was closed without a response')
            if self.response.status != 200:
                raise Failure(f'status is {self.response.status}, and no "--- status" expects it; body:\n' +
                              clip(self.response.body))

    def close(self):
        for conn in {*self.connections.values(), self.anonymous} - {None}:
            conn.close()
        self.connections, self.anonymous = {}, None

    def finish(self):
        """After the server has stopped: the checks that need complete logs, and the mocks' complaints."""
        for section, path, start in self.at_end:
            check_text(f'line {section.line}: {path}', section, self.server.read(path)[start:], self.names)
        for mock in self.mocks.values():
            if mock.errors:
                raise Failure('\n'.join(mock.errors))

    # --- steps ----------------------------------------------------------------------------------------

    def connect(self, section):
        name = section.option('conn')
        if name is not None and name in self.connections:
            return self.connections[name]
        port = expand(section.option('port', '$PORT'), self.names)
        address = expand(section.option('addr', f'127.0.0.1:{port}'), self.names)
        def handshake(sock):
            return tls.wrap(sock, section, self.names, self.connections)
        conn = client.Connection(address, self.deadline(), handshake if section.flag('tls') else None)
        if name is None:
            if self.anonymous:
                self.anonymous.close()
            self.anonymous = conn
        else:
            self.connections[name] = conn
        return conn

    def request(self, section):
        if section.flag('h2') or self.options.h2 and not section.flag('tls'):
            from .h2 import exchange
            self.response, self.conn = exchange(self, section), None
            self.status_seen = section.flag('nowait')
            return
        wire, method = client.build_request(section, self.names, section.option('conn') is not None)
        conn = self.connect(section)
        closing = section.option('conn') is None and b'\r\nconnection: close\r\n' in wire.lower()
        self.exchange(section, conn, wire, [method], closing)

    def frames(self, section):
        from .frames import play
        play(self, section)

    def raw(self, section):
        wire, methods = client.build_raw(section, self.names)
        self.exchange(section, self.connect(section), wire, methods, False)

    def exchange(self, section, conn, wire, methods, closing):
        self.conn = conn
        if conn.sock is None:
            self.response, self.status_seen = None, True
            return
        conn.methods += methods
        try:
            conn.send(wire, self.deadline(), int(section.option('every', '0')))
        except (BrokenPipeError, ConnectionResetError):
            pass  # the answer may already be there
        if section.flag('nowait'):
            self.response = None
            return
        self.read_next(conn)
        if closing and self.response is not None:
            conn.wait_eof(self.deadline())
            if conn.pending:
                raise Failure(f'bytes after the response:\n{clip(conn.pending)}')

    def next(self, section):
        name = section.option('conn')
        self.conn = self.connections[name] if name else self.conn
        if self.conn is None:
            raise Failure('no connection to read from')
        self.read_next(self.conn)

    def read_next(self, conn):
        self.response = client.read_response(conn, self.deadline())
        self.status_seen = False

    def reload(self, section):
        self.server.reload(section, self.timeout)

    def signal(self, section):
        words = (section.text or '').split()
        self.server.signal(words[0], words[1] if len(words) > 1 else 'master')

    def stop(self, section):
        self.server.stop((section.text or '').strip() or 'QUIT')

    def worker_exit(self, section):
        """Kills the workers and waits until others stand in their place."""
        old = self.server.workers()
        self.server.signal((section.text or '').strip() or 'KILL', 'worker')
        self.allowed.append(re.compile(rb'exited on signal'))
        self.server.until(lambda: len(self.server.workers() - old) >= len(old), self.timeout, 'no new workers')

    def run_command(self, section):
        args = expand(section.text or '', self.names).split()
        self.process = subprocess.run(self.server.command(*args), stdin=subprocess.DEVNULL, capture_output=True,
                                      env=self.server.environment(), timeout=self.timeout)

    def wait(self, section):
        time.sleep(float(section.text))

    def close_connection(self, section):
        conn = self.connections.pop(section.option('conn'), None) or self.conn
        if conn is self.anonymous:
            self.anonymous = None
        conn.close()

    # --- checks ---------------------------------------------------------------------------------------

    def need(self):
        if self.response is None:
            raise Failure('there was no response: the connection was closed')
        return self.response

    def status(self, section):
        self.status_seen = True
        wanted = expand(section.text, self.names).strip()
        if self.need().status != int(wanted):
            raise Failure(f'status is {self.response.status}, not {wanted}; body:\n{clip(self.response.body)}')

    def reason(self, section):
        if not self.over_h2():
            check_text('reason', section, self.need().reason.encode(), self.names)

    def headers(self, section):
        wanted = {}
        for line in expand(section.text, self.names).splitlines():
            if line.startswith('!'):
                wanted[line[1:].strip()] = []
            elif line.strip():
                name, _, value = line.partition(':')
                wanted.setdefault(name.strip(), []).append(value.strip())
        for name, values in wanted.items():
            if self.over_h2() and name.lower() in ('connection', 'transfer-encoding'):
                continue
            got = self.need().values(name)
            same = len(got) == len(values) and all(
                re.search(v[2:], g) if v.startswith('~ ') else v == g for v, g in zip(values, got))
            if not same:
                everything = '\n'.join(f'  {k}: {v}' for k, v in self.response.headers)
                raise Failure(f'{name} is {got}, not {values}; all headers:\n{everything}')

    def body(self, section):
        data = self.need().body
        if section.flag('gunzip'):
            data = gzip.decompress(data)
        check_text('body', section, data, self.names)

    def wire(self, section):
        check_text('response', section, self.need().wire, self.names)

    def interim(self, section):
        wanted = [int(x) for x in section.text.split()]
        if self.need().interim != wanted:
            raise Failure(f'interim responses are {self.response.interim}, not {wanted}')

    def trailers(self, section):
        got = ''.join(f'{k}: {v}\n' for k, v in self.need().trailers)
        check_text('trailers', section, got.encode(), self.names)

    def over_h2(self):
        return self.response is not None and self.response.version.startswith('2')

    def closed(self, section):
        if self.over_h2():
            return
        self.conn.wait_eof(self.deadline())
        if self.conn.pending:
            raise Failure(f'bytes before the end of the connection:\n{clip(self.conn.pending)}')

    def no_response(self, section):
        self.status_seen = True
        if self.response is not None:
            raise Failure(f'there is a response: {clip(self.response.wire)}')

    def allow(self, section):
        if section.flag('lacks'):
            return
        for line in expand(section.text, self.names).splitlines():
            line = line.encode('utf-8', 'surrogateescape')
            self.allowed.append(re.compile(line if section.flag('like') else re.escape(line)))

    def log_file(self, section):
        start = 0
        if section.name == 'error_log':
            path, start = self.server.error_log, self.log_from
            if section.flag('allow'):
                return
            if not section.flag('like') and not section.flag('lacks'):
                section.words.append('has')
        elif section.name == 'access_log':
            path = f'{self.server.prefix}/logs/access.log'
        else:
            path = f'{self.server.prefix}/{expand(section.words[0], self.names)}'
        if section.flag('lacks'):
            self.at_end.append((section, path, start))
            return
        self.poll(path, section, lambda: self.server.read(path)[start:])

    def poll(self, what, section, read):
        """Logs and mocks lag behind the response: the check may become true until the deadline."""
        deadline = time.monotonic() + min(self.timeout, 3 * self.options.slow)
        while True:
            try:
                check_text(what, section, read(), self.names)
                return
            except Failure:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.005)

    def mock(self, section):
        where = expand(section.words[0], self.names)
        if where not in self.mocks:
            raise Failure(f'no mock at {where}')
        return self.mocks[where]

    def saw(self, section):
        mock = self.mock(section)
        self.poll(f'what {mock.where} saw', section, lambda: mock.saw)

    def connections_check(self, section):
        mock, wanted = self.mock(section), int(section.text)
        self.server.until(lambda: mock.count >= wanted, self.timeout, f'{mock.count} connections, not {wanted}')
        if mock.count != wanted:
            raise Failure(f'{mock.count} connections, not {wanted}')

    def command_check(self, section):
        if self.process is None:
            raise Failure('no "--- run" before this')
        if section.name == 'exit':
            if self.process.returncode != int(section.text):
                output = (self.process.stdout + self.process.stderr).decode('utf-8', 'replace')
                raise Failure(f'status {self.process.returncode}, not {section.text.strip()}; output:\n{clip(output)}')
        else:
            check_text(section.name, section, getattr(self.process, section.name), self.names)


STEP_CODE = {'request': BlockRun.request, 'raw': BlockRun.raw, 'frames': BlockRun.frames, 'next': BlockRun.next, 'reload': BlockRun.reload,
             'signal': BlockRun.signal, 'stop': BlockRun.stop, 'run': BlockRun.run_command, 'wait': BlockRun.wait,
             'close': BlockRun.close_connection, 'worker_exit': BlockRun.worker_exit}
CHECK_CODE = {'status': BlockRun.status, 'reason': BlockRun.reason, 'headers': BlockRun.headers, 'body': BlockRun.body,
              'wire': BlockRun.wire, 'interim': BlockRun.interim, 'trailers': BlockRun.trailers,
              'closed': BlockRun.closed, 'no_response': BlockRun.no_response, 'error_log': BlockRun.log_file,
              'access_log': BlockRun.log_file, 'file': BlockRun.log_file, 'saw': BlockRun.saw,
              'connections': BlockRun.connections_check, 'exit': BlockRun.command_check,
              'stdout': BlockRun.command_check, 'stderr': BlockRun.command_check}


def start_peers(block, server):
    """The mocks and services of a block; they listen before the server starts."""
    return start_mocks(block, server.names), start_services(block, server)
