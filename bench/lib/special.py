"""The workloads that are more than one request asked again and again."""
import concurrent.futures
import http.client
import itertools
import os
import re
import socket
import subprocess
import time
import urllib.request

from alternate import SHORT_SLICE
from measure import CALLGRIND, Load, instructions, turn
from servers import LOAD_CORE, SERVER_CORE


def cpu_of_turn(servers, loads, seconds):
    """CPU a request of each in one turn of all; nobody may fail."""
    out = {}
    for key, one in turn(servers, loads, seconds, SHORT_SLICE).items():
        if isinstance(one, Exception):
            raise one
        out[key] = one['cpu']
    return out


def ask(port, path, timeout=120):
    with urllib.request.urlopen(f'http://127.0.0.1:{port}{path}', timeout=timeout) as f:
        return f.read().decode()


# --- 9: a shared dict, all workers at once ------------------------------------------------------------------

def connect_each(port, workers):
    """A keepalive connection to every worker: while those found are busy, others accept."""
    found = {}
    for _ in range(30):
        some = [http.client.HTTPConnection('127.0.0.1', port, timeout=60) for _ in range(workers)]
        for pid, connection in zip(loop(some, 'get', 0.02)[1], some):
            found.setdefault(pid, connection)
        if len(found) == workers:
            return list(found.values())
    raise RuntimeError(f'{len(found)} of {workers} workers answer')


def loop(connections, operation, seconds):
    """Operations a second of all together, begun and ended at the same moments; and the workers' ids."""
    at = time.time() + 0.05

    def one(connection):
        connection.request('GET', f'/dict?op={operation}&at={at:.3f}&till={at + seconds:.3f}')
        return connection.getresponse().read().decode().split()

    with concurrent.futures.ThreadPoolExecutor(len(connections)) as pool:
        lines = list(pool.map(one, connections))
    return sum(int(x[1]) / float(x[2]) for x in lines if float(x[2]) > 0), [x[0] for x in lines]


def shared_dict(farm, names, alternations, seconds):
    workers = os.cpu_count() or 1
    servers = {n: farm.compatible(n, workers=workers, core=None, label=f'dict-{n}') for n in names}
    connections = {n: connect_each(server.port, workers) for n, server in servers.items()}
    out = {}
    for operation in ('get', 'set', 'incr', 'mixed'):
        out[operation] = {n: [] for n in names}
        for n in names:
            loop(connections[n], operation, 0.1)  # compiled before it counts
        for _ in range(alternations):
            for n in names:
                out[operation][n].append(loop(connections[n], operation, seconds)[0])
    for server in servers.values():
        farm.stop(server)
    return out


# --- 14: idle connections ---------------------------------------------------------------------------------------

def hold_connections(port, count):
    socks = []
    request = b'GET /return HTTP/1.1\r\nHost: localhost\r\n\r\n'
    for _ in range(count):
        s = socket.create_connection(('127.0.0.1', port), 30)
        s.sendall(request)
        socks.append(s)
        if len(socks) % 64 == 0:
            for x in socks[-64:]:
                x.recv(4096)
    for x in socks[len(socks) - len(socks) % 64:]:
        x.recv(4096)
    return socks


def idle(farm, names, count, failed):
    """User memory a connection: what `count` take, and the slots prepared for them, beyond a server with room for 64."""
    def start(name, connections):
        if name in ('haproxy', 'h2o'):
            return farm.other(name, connections=connections)
        return farm.compatible(name, label=f'idle-{connections}-{name}', connections=connections)

    def one(name):
        small = start(name, 64)
        for _ in range(300):
            ask(small.port, '/return')
        base = small.memory()
        farm.stop(small)
        server, socks = start(name, count + 64), []
        try:
            for _ in range(300):
                ask(server.port, '/return')
            socks = hold_connections(server.port, count)
            time.sleep(1.5)
            memory = server.memory()
            before = server.cpu()[0]
            time.sleep(2)
            return {'bytes': (memory - base) / count, 'cpu_share': (server.cpu()[0] - before) / 2e9, 'connections': count}
        finally:
            for s in socks:
                s.close()
            farm.stop(server)

    out = {}
    for name in names:
        try:
            out[name] = one(name)
        except (OSError, RuntimeError) as e:
            failed('idle', name, e)
    return out


# --- 15: many entries ---------------------------------------------------------------------------------------------

HEAD = '''@load@
daemon off; master_process off; worker_processes 1; pid @dir@/pid; error_log @dir@/error.log error;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 1000000000;
'''


def many_conf(kind, n):
    """A configuration with n entries of a kind, and how wrk asks for all of them in turn."""
    lines = [HEAD]
    listen = 'listen 127.0.0.1:@port@;'
    if kind == 'locations':
        lines.append(f'server {{ {listen} location / {{ return 404; }}')
        lines += [f'location /section{i}/ {{ return 200 "ok\\n"; }}' for i in range(n)]
        lines.append('} }')
        return '\n'.join(lines), f'path|/section%d/page.html|{n}'
    if kind == 'regex':
        lines.append(f'server {{ {listen} location / {{ return 404; }}')
        lines += [f'location ~ ^/app{i}/(.*)\\.php$ {{ return 200 "ok\\n"; }}' for i in range(n)]
        lines.append('} }')
        return '\n'.join(lines), f'path|/app%d/index.php|{n}'
    if kind == 'servers':
        lines.append('server_names_hash_max_size 65536; server_names_hash_bucket_size 128;')
        lines += [f'server {{ {listen} server_name host{i}.example.test; return 200 "ok\\n"; }}' for i in range(n)]
        lines.append('}')
        return '\n'.join(lines), f'host|host%d.example.test|{n}'
    lines.append('map_hash_max_size 262144; map_hash_bucket_size 128; map $arg_k $value { default none;')
    lines += [f'key{i} value{i};' for i in range(n)]
    lines.append(f'}} server {{ {listen} location / {{ return 200 "$value\\n"; }} }} }}')
    return '\n'.join(lines), f'path|/?k=key%d|{n}'


SIZES = {'locations': (10, 1000, 10000), 'regex': (10, 100, 1000), 'servers': (10, 1000, 10000),
         'map': (10, 10000, 100000)}
MANY_FLOOR = 'responder'  # has no entries, and is asked what those with the most are


def many_entries(farm, names, turns, seconds, quick):
    """kind -> server -> number of entries (as text) -> row. `turns(kind, rows)` counts the turns."""
    out = {}
    for kind, sizes in SIZES.items():
        if quick:
            sizes = sizes[::len(sizes) - 1]
        servers, rows = {}, {}
        for name, n in [*itertools.product(names, sizes), (MANY_FLOOR, sizes[-1])]:
            conf, pick = many_conf(kind, n)
            if name == MANY_FLOOR:
                server = farm.floor(MANY_FLOOR, 12)
            else:
                server = farm.compatible(name, conf=conf, label=f'many-{kind}-{n}-{name}')
            servers[name, n] = server, Load('/', random=pick)
            rows.setdefault(name, {})[str(n)] = {
                'start': server.start_seconds, 'start_cpu': server.cpu()[0] / 1e9, 'memory': server.memory(), 'cpu': []}
        for i in turns(kind, rows):
            # Those in the middle show how it grows, and are not judged: one turn.
            now = {k: v for k, v in servers.items() if i == 0 or k[1] in (sizes[0], sizes[-1])}
            for (name, n), one in cpu_of_turn({k: v[0] for k, v in now.items()}, {k: v[1] for k, v in now.items()},
                                              seconds).items():
                rows[name][str(n)]['cpu'].append(one)
        for server, _ in servers.values():
            farm.stop(server)
        if not quick:
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                counts = [(n, pool.submit(counted_entry, farm, 'moonphase', kind, n, core))
                          for n, core in zip((sizes[0], sizes[-1]), (LOAD_CORE, SERVER_CORE))]
                for n, count in counts:
                    rows['moonphase'][str(n)]['instructions'] = count.result()
        out[kind] = rows
    return out


def counted_entry(farm, name, kind, n, core):
    """Instructions for an entry in the middle of n, under callgrind."""
    conf, pick = many_conf(kind, n)
    label = f'counted-{kind}-{n}-{name}'
    out = os.path.join(farm.dir(label), 'callgrind')
    server = farm.compatible(name, conf=conf, label=label, core=core, wrapper=[*CALLGRIND, f'--callgrind-out-file={out}'])
    try:
        pattern = pick.split('|')[1] % (n // 2)
        load = Load('/' if kind == 'servers' else pattern)
        if kind == 'servers':
            load.head = lambda: f'GET / HTTP/1.1\r\nHost: {pattern}\r\n\r\n'.encode()
        return instructions(server, out, load, rounds=20, warm=20)
    finally:
        farm.stop(server)


# --- 16: start, reload and test with 5,000 servers -------------------------------------------------------------------

def server_blocks(farm, names, count, alternations):
    conf = [HEAD.replace('master_process off', 'master_process on'),
            'server_names_hash_max_size 65536; server_names_hash_bucket_size 128;']
    for i in range(count):
        conf.append(f'server {{ listen 127.0.0.1:@port@; server_name host{i}.example.test; root /srv/{i}; '
                    f'location / {{ return 200 "{i}\\n"; }} location /a/ {{ expires 1h; }} '
                    f'location ~ \\.php$ {{ return 403; }} }}')
    conf = '\n'.join(conf) + '\n}'
    out = {n: {'start': [], 'test': [], 'reload': [], 'memory': []} for n in names}
    began = time.monotonic()
    for i in range(alternations):
        if i > 1 and time.monotonic() - began > 150:  # some need half a minute for each round
            break
        for name in names:
            server = farm.compatible(name, conf=conf, label=f'blocks-{name}')
            row = out[name]
            row['start'].append(server.start_seconds)
            row['memory'].append(server.memory())
            before = time.monotonic()
            subprocess.run([*server.args, '-t'], capture_output=True, check=True)
            row['test'].append(time.monotonic() - before)
            old = set(server.pids())
            before = time.monotonic()
            subprocess.run(['kill', '-HUP', str(server.process.pid)], check=True)
            while not set(server.pids()) - old and time.monotonic() - before < 60:
                time.sleep(0.002)
            ask(server.port, '/')
            row['reload'].append(time.monotonic() - before)
            farm.stop(server)
    return out


# --- 18: pending timers -----------------------------------------------------------------------------------------------

def timers(farm, names, count, alternations, seconds):
    """What `count` pending timers take, and what a request costs beside them."""
    servers = {n: farm.compatible(n, label=f'timers-{n}') for n in names}
    out = {n: {'count': count, 'make_usec': [], 'cpu_before': [], 'cpu_beside': []} for n in names}

    def rounds(key):
        for _ in range(alternations):
            for n, one in cpu_of_turn(servers, dict.fromkeys(names, Load('/return')), seconds).items():
                out[n][key].append(one)

    def make(server, n):
        memory, cpu = server.memory(), server.cpu()[0]
        ask(server.port, f'/timers?n={count}')
        out[n]['make_usec'].append((server.cpu()[0] - cpu) / 1000 / count)
        return (server.memory() - memory) / count

    for _ in range(alternations - 1):
        for n in names:
            fresh = farm.compatible(n, label=f'timers-again-{n}')
            make(fresh, n)
            farm.stop(fresh)
    rounds('cpu_before')
    for n, server in servers.items():
        out[n]['bytes'] = make(server, n)
    time.sleep(1.5)
    for n, server in servers.items():
        before = server.cpu()[0]
        time.sleep(2)
        out[n]['idle_cpu_share'] = (server.cpu()[0] - before) / 2e9
    rounds('cpu_beside')
    for server in servers.values():
        farm.stop(server)
    return out
