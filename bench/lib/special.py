"""The workloads that are more than one request asked again and again."""
import concurrent.futures
import os
import re
import socket
import subprocess
import time
import urllib.request

from measure import Load, sample, instructions, CALLGRIND
from servers import HERE, LOAD_CORE, pinned


def ask(port, path, timeout=120):
    with urllib.request.urlopen(f'http://127.0.0.1:{port}{path}', timeout=timeout) as f:
        return f.read().decode()


# --- 9: a shared dict, all workers at once ------------------------------------------------------------------

def dict_throughput(port, operation, rounds, workers):
    """Operations a second of all workers together, begun at the same moment; None when one worker got two loops."""
    at = time.time() + 0.15
    path = f'/dict?op={operation}&n={rounds}&at={at:.3f}'
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        lines = list(pool.map(lambda _: ask(port, path).split(), range(workers)))
    if len({line[0] for line in lines}) < workers:
        return None
    spent = max(float(x[2]) for x in lines) - min(float(x[1]) for x in lines)
    return rounds * workers / spent if spent > 0 else None


def shared_dict(farm, names, alternations, quick):
    workers = os.cpu_count() or 1
    servers = {n: farm.compatible(n, workers=workers, core=None, label=f'dict-{n}') for n in names}
    out = {}
    for operation in ('get', 'set', 'incr', 'mixed'):
        rounds = {n: 20000 for n in names}
        values = {n: [] for n in names}
        for n, server in servers.items():  # as many rounds as take about the same time everywhere
            for _ in range(30):
                speed = dict_throughput(server.port, operation, rounds[n], workers)
                if speed is not None:
                    break
            rounds[n] = max(20000, int((speed or 1e6) / workers * (0.15 if quick else 0.4)))
        for _ in range(alternations):
            for n, server in servers.items():
                for _ in range(30):
                    speed = dict_throughput(server.port, operation, rounds[n], workers)
                    if speed is not None:
                        values[n].append(speed)
                        break
        out[operation] = values
    for server in servers.values():
        farm.stop(server)
    return out


# --- 12: TLS and HTTP/2 ---------------------------------------------------------------------------------------

def certificate(folder):
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                    '-days', '30', '-subj', '/CN=localhost', '-keyout', folder + '/key.pem', '-out',
                    folder + '/cert.pem'], capture_output=True, check=True)


def count_of(tool, text):
    pattern = {'s_time': r'(\d+) connections in [\d.]+ real seconds', 'wrk': r'(\d+) requests in',
               'h2load': r'(\d+) succeeded'}[tool]
    found = re.search(pattern, text)
    return int(found[1]) if found else 0


def tls(farm, names, alternations, seconds):
    """CPU a handshake or request; an empty answer with the reason when the server has no TLS yet."""
    certificate(farm.data)
    with open(os.path.join(HERE, 'conf', 'tls.conf')) as f:
        both = f.read()
    servers, reason, http2 = {}, None, True
    for name in ['moonphase'] + [n for n in names if n != 'moonphase']:
        for conf in (both, both.replace(' http2', '')) if http2 else (both.replace(' http2', ''),):
            try:
                servers[name] = farm.compatible(name, conf=conf.replace('@data@', farm.data), label=f'tls-{name}')
                break
            except RuntimeError as e:
                reason = f'the configuration is refused: {e}'
                if name == 'moonphase':
                    http2 = False
        if name == 'moonphase' and name not in servers:
            return {}, reason
    whole = max(1, round(seconds))
    tools = {
        'handshake': ('s_time', lambda p: ['openssl', 's_time', '-connect', f'127.0.0.1:{p}', '-new', '-time', str(whole)]),
        'resumed': ('s_time', lambda p: ['openssl', 's_time', '-connect', f'127.0.0.1:{p}', '-reuse', '-tls1_2',
                                         '-time', str(whole)]),
        'https': ('wrk', lambda p: ['wrk', '-t1', '-c64', f'-d{whole}s', f'https://127.0.0.1:{p}/return']),
        'http2': ('h2load', lambda p: ['h2load', '-n', str(20000 * whole), '-c', '1', '-m', '100',
                                       f'https://127.0.0.1:{p}/return']),
    }
    if not http2:
        del tools['http2']
        reason = 'HTTP/2: `listen ... http2` is refused'
    out = {}
    for key, (tool, args) in tools.items():
        values = {n: [] for n in servers}
        for _ in range(alternations):
            for n, server in servers.items():
                before = server.cpu()
                run = subprocess.run(pinned(LOAD_CORE, args(server.port)), capture_output=True, text=True)
                after = server.cpu()
                count = count_of(tool, run.stdout)
                if count > 0:
                    values[n].append((after[0] - before[0]) / 1000 / count)
        out[key] = values
    for server in servers.values():
        farm.stop(server)
    return out, reason if not http2 else None


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


def idle(farm, names, count):
    """User memory a connection: what 10,000 take, and the slots prepared for them, beyond a server with room for 64."""
    out = {}
    for name in names:
        small = farm.compatible(name, label=f'idle-small-{name}')
        with open(os.path.join(small.folder, 'server.conf')) as f:
            text = f.read()
        farm.stop(small)
        small = farm.compatible(name, conf=text.replace('worker_connections 15000', 'worker_connections 64')
                                .replace(f':{small.port}', ':@port@'), label=f'idle-small-{name}')
        for _ in range(300):
            ask(small.port, '/return')
        base = small.memory()
        farm.stop(small)
        text = text.replace('worker_connections 15000', f'worker_connections {count + 64}')
        server = farm.compatible(name, conf=re.sub(r'listen 127.0.0.1:\d+', 'listen 127.0.0.1:@port@', text),
                                 label=f'idle-{name}')
        try:
            socks = hold_connections(server.port, count)
            time.sleep(0.5)
            memory = server.memory()
            before = server.cpu()[0]
            time.sleep(2)
            spent = (server.cpu()[0] - before) / 2e9
            for s in socks:
                s.close()
            out[name] = {'bytes': (memory - base) / count, 'cpu_share': spent}
        finally:
            farm.stop(server)
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


def many_entries(farm, names, alternations, seconds, quick):
    out = {}
    for kind, sizes in SIZES.items():
        if quick:
            sizes = sizes[::len(sizes) - 1]
        out[kind] = {}
        for name in names:
            servers, rows = {}, {}
            for n in sizes:
                conf, pick = many_conf(kind, n)
                servers[n] = (farm.compatible(name, conf=conf, label=f'many-{kind}-{n}-{name}'), Load('/', random=pick))
                rows[n] = {'start': servers[n][0].start_seconds, 'memory': servers[n][0].memory(), 'cpu': []}
            for _ in range(alternations):
                for n, (server, load) in servers.items():
                    rows[n]['cpu'].append(sample(server, load, seconds)['cpu'])
            for server, _ in servers.values():
                farm.stop(server)
            if not quick:
                for n in (sizes[0], sizes[-1]):
                    rows[n]['instructions'] = counted_entry(farm, name, kind, n)
            out[kind][name] = rows
    return out


def counted_entry(farm, name, kind, n):
    """Instructions for an entry in the middle of n, under callgrind."""
    conf, pick = many_conf(kind, n)
    label = f'counted-{kind}-{n}-{name}'
    out = os.path.join(farm.dir(label), 'callgrind')
    server = farm.compatible(name, conf=conf, label=label, wrapper=[*CALLGRIND, f'--callgrind-out-file={out}'])
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
    out = {n: {'start': [], 'test': [], 'reload': []} for n in names}
    for _ in range(alternations):
        for name in names:
            server = farm.compatible(name, conf=conf, label=f'blocks-{name}')
            row = out[name]
            row['start'].append(server.start_seconds)
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
    """What 100,000 pending timers take, and what a request costs beside them."""
    out = {}
    for name in names:
        server = farm.compatible(name, label=f'timers-{name}')
        try:
            plain = [sample(server, Load('/return'), seconds)['cpu'] for _ in range(alternations)]
            memory, cpu = server.memory(), server.cpu()[0]
            ask(server.port, f'/timers?n={count}')
            made = (server.cpu()[0] - cpu) / 1000 / count
            grown = (server.memory() - memory) / count
            time.sleep(1.5)
            before = server.cpu()[0]
            time.sleep(2)
            idle_share = (server.cpu()[0] - before) / 2e9
            beside = [sample(server, Load('/return'), seconds)['cpu'] for _ in range(alternations)]
            out[name] = {'bytes': grown, 'make_usec': made, 'idle_cpu_share': idle_share, 'cpu_before': plain,
                         'cpu_beside': beside}
        finally:
            farm.stop(server)
    return out
