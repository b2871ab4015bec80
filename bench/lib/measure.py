"""How a workload is measured: load from wrk, CPU from /proc, system calls from strace, instructions from callgrind."""
import concurrent.futures
import copy
import json
import os
import re
import signal
import socket
import subprocess
import time

import alternate
from servers import HERE, LOAD_CORE, pinned

REPORT = os.path.join(HERE, 'load', 'report.lua')
FAILURES = (OSError, RuntimeError, subprocess.SubprocessError)  # of one server, which costs the others nothing


class Load:
    """What is asked: the arguments of wrk, and for how many seconds until a server is warm."""

    def __init__(self, path, connections=64, method='GET', body=0, close=False, headers=0, random='-', gzip=False,
                 warm=alternate.WARM):
        self.path, self.connections, self.method, self.body = path, connections, method, body
        self.close, self.headers, self.random, self.gzip, self.warm = close, headers, random, gzip, warm

    def command(self, port, seconds):
        return ['wrk', '-t1', f'-c{self.connections}', f'-d{seconds}s', '--timeout', '10s', '-s', REPORT,
                f'http://127.0.0.1:{port}{self.path}', '--', self.method, str(self.body), '1' if self.close else '0',
                str(self.headers), self.random, 'gzip' if self.gzip else '-']

    def wrk(self, port, seconds):
        out = subprocess.run(pinned(LOAD_CORE, self.command(port, seconds)), capture_output=True, text=True,
                             timeout=seconds + 60)
        return reported(out.stdout + out.stderr)

    def head(self):
        lines = [f'{self.method} {self.path} HTTP/1.1', 'Host: localhost']
        if self.body:
            lines += ['Content-Type: application/octet-stream', f'Content-Length: {self.body}']
        if self.gzip:
            lines.append('Accept-Encoding: gzip')
        lines += [f'X-Field-{i}: value of field number {i}' for i in range(1, self.headers + 1)]
        return ('\r\n'.join(lines) + '\r\n\r\n').encode() + b'x' * self.body


def reported(output):
    """What load/report.lua wrote at wrk's end."""
    for line in output.splitlines():
        if line.startswith('{'):
            return json.loads(line)
    raise RuntimeError(f'wrk: {output}')


def counted(output):
    """What wrk counted."""
    result = reported(output)
    return {'requests': result['requests'], 'errors': result['errors'], 'bytes': result['bytes'] / max(result['requests'], 1)}


def turn(servers, loads, seconds, slice_seconds):
    """One turn of all servers: name -> CPU a request (user and system), or the error of who fails."""
    return alternate.turn(servers, lambda name, wall: loads[name].command(servers[name].port, wall), counted, seconds,
                          slice_seconds)


def warm_up(servers, load):
    """Caches, pools and traces are warm afterwards."""
    alternate.warm_up(servers, lambda name, wall: load.command(servers[name].port, wall), load.warm)


def undisturbed(server, load, seconds):
    """Requests a second and latencies (microseconds) of one server alone, and its memory shortly before the end."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(load.wrk, server.port, seconds)
        time.sleep(seconds * 0.8)
        memory = server.memory()
        result = running.result()
    return {'memory': memory, 'rps': result['requests'] * 1e6 / result['usec'], 'p50': result['p50'], 'p99': result['p99'],
            'p999': result['p999'], 'errors': result['errors']}


class Tracer:
    """strace, counting the system calls of a server."""

    def __init__(self, server):
        self.out = os.path.join('/tmp', f'moonphase-bench-strace-{os.getpid()}-{server.port}')
        args = ['strace', '-c', '-f', '-o', self.out]
        for pid in server.pids():
            args += ['-p', str(pid)]
        self.process = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self):
        """Calls by name; none when strace could not end in time."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        calls = {}
        with open(self.out) as f:
            for line in f:
                fields = line.split()
                if len(fields) >= 5 and re.match(r'[\d.]+$', fields[0]) and fields[-1] not in ('total', 'syscall'):
                    calls[fields[-1]] = int(fields[3])
        os.unlink(self.out)
        return calls


def system_calls(servers, load, seconds=2):
    """Of all servers at once, as nothing is timed: name -> calls a request by name, or the error of who fails."""
    load = copy.copy(load)
    load.connections = min(load.connections, 64)  # or their making is most of what a traced server does
    tracers = {n: Tracer(server) for n, server in servers.items()}
    try:
        time.sleep(0.3)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            running = {n: pool.submit(load.wrk, server.port, seconds) for n, server in servers.items()}
    finally:
        counts = {n: tracer.stop() for n, tracer in tracers.items()}
    out = {}
    for n, future in running.items():
        try:
            requests = max(future.result()['requests'], 1)
        except FAILURES as e:
            out[n] = e
            continue
        calls = {name: round(count / requests, 3) for name, count in counts[n].items()}
        out[n] = {name: each for name, each in sorted(calls.items(), key=lambda x: -x[1]) if each >= 0.005}
    return out


class Batch:
    """A few keepalive connections that ask all together, then collect all answers: the same work every time."""
    SIZE = 8

    def __init__(self, port, load, connections=SIZE):
        self.request, self.socks = load.head(), []
        for _ in range(connections):
            s = socket.create_connection(('127.0.0.1', port), 30)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socks.append(s)

    def read(self, s):
        data = b''
        while b'\r\n\r\n' not in data:
            got = s.recv(1 << 18)
            if not got:
                raise RuntimeError('connection closed')
            data += got
        head, body = data.split(b'\r\n\r\n', 1)
        if b' 200 ' not in head.split(b'\r\n', 1)[0]:
            raise RuntimeError(head.decode('latin-1'))
        length = re.search(rb'content-length: *(\d+)', head, re.I)
        size, parts = len(body), [body[-5:]]
        while size < int(length[1]) if length else b''.join(parts)[-5:] != b'0\r\n\r\n':
            got = s.recv(1 << 18)
            if not got:
                raise RuntimeError('connection closed')
            size += len(got)
            parts = [(parts[-1] + got)[-5:]]
        return size

    def round(self):
        for s in self.socks:
            s.sendall(self.request)
        return [self.read(s) for s in self.socks]

    def close(self):
        for s in self.socks:
            s.close()


def control(pid, *args):
    subprocess.run(['callgrind_control', *args, str(pid)], capture_output=True, check=False)


def last_dump(out):
    """The newest of callgrind's files, which are OUT.1, OUT.2 and so on."""
    folder, name = os.path.split(out)
    return os.path.join(folder, max((f for f in os.listdir(folder) if f.startswith(name + '.')),
                                    key=lambda f: int(f.rsplit('.', 1)[1])))


def instructions(server, out, load, rounds=20, warm=60):
    """User-space instructions a request of a server that runs under callgrind with --instr-atstart=no."""
    batch = Batch(server.port, load)
    pid = server.process.pid
    try:
        for _ in range(warm):
            batch.round()
        control(pid, '-i', 'on')
        batch.round()
        control(pid, '-z')
        for _ in range(rounds):
            batch.round()
        control(pid, '-d')
        control(pid, '-i', 'off')
    finally:
        batch.close()
    with open(last_dump(out)) as f:
        total = re.search(r'^(?:totals|summary): (\d+)', f.read(), re.M)
    return int(total[1]) / (rounds * len(batch.socks))


CALLGRIND = ['valgrind', '--tool=callgrind', '--instr-atstart=no', '-q']
