"""Workload 12: TLS handshakes, HTTPS and HTTP/2."""
import os
import re
import subprocess

from servers import LOAD_CORE, pinned


def certificate(folder):
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                    '-days', '30', '-subj', '/CN=localhost', '-keyout', folder + '/key.pem', '-out',
                    folder + '/cert.pem'], capture_output=True, check=True)
    with open(folder + '/both.pem', 'w') as out:
        for name in ('cert.pem', 'key.pem'):
            with open(os.path.join(folder, name)) as f:
                out.write(f.read())


# What is run, and where the number of connections or requests stands in what it says.
TOOLS = {
    'handshake': (r'(\d+) connections in [\d.]+ real seconds',
                  lambda port, s: ['openssl', 's_time', '-connect', f'127.0.0.1:{port}', '-new', '-time', str(s)]),
    'resumed': (r'(\d+) connections in [\d.]+ real seconds',
                lambda port, s: ['openssl', 's_time', '-connect', f'127.0.0.1:{port}', '-reuse', '-tls1_2', '-time', str(s)]),
    'https': (r'(\d+) requests in', lambda port, s: ['wrk', '-t1', '-c64', f'-d{s}s', f'https://127.0.0.1:{port}/return']),
    'http2': (r'(\d+) succeeded', lambda port, s: ['h2load', '-n', str(20000 * s), '-c', '1', '-m', '100',
                                                   f'https://127.0.0.1:{port}/return']),
}
TITLES = {'handshake': 'a new handshake', 'resumed': 'a resumed handshake', 'https': 'HTTPS keepalive hello',
          'http2': 'HTTP/2 hello, 100 streams at once'}


def one(server, key, seconds):
    """CPU a connection or request, user and system, and how many a second."""
    pattern, args = TOOLS[key]
    before = server.cpu()
    out = subprocess.run(pinned(LOAD_CORE, args(server.port, seconds)), capture_output=True, text=True, timeout=60).stdout
    after = server.cpu()
    found = re.search(pattern, out)
    if not found or int(found[1]) == 0:
        raise RuntimeError(f'nothing was done: {out[-200:]}')
    count = int(found[1])
    user, system = after[1] - before[1], after[2] - before[2]
    cpu = (after[0] - before[0]) / 1000 / count
    share = user / (user + system) if user + system else 0
    return {'cpu': cpu, 'user': cpu * share, 'system': cpu * (1 - share)}


def measure(farm, names, alternations, seconds):
    """key -> server -> samples; 'failures' -> why somebody is missing."""
    certificate(farm.data)
    servers, failures = {}, []
    for name in names:
        try:
            if name in ('haproxy', 'h2o'):
                servers[name] = farm.other(name, tls=True)
            else:
                servers[name] = farm.compatible(name, template='tls.conf', label=f'tls-{name}')
        except (OSError, RuntimeError) as e:
            failures.append(f'{name}: {e}')
    whole = max(1, round(seconds))
    out = {}
    for key in TOOLS:
        values = {n: [] for n in servers}
        for _ in range(alternations):
            for n in [n for n in servers if n in values]:
                try:
                    values[n].append(one(servers[n], key, whole))
                except (RuntimeError, subprocess.TimeoutExpired) as e:
                    failures.append(f'{key}, {n}: {e}')
                    del values[n]
                    servers[n].revive()
        out[key] = values
    for server in servers.values():
        farm.stop(server)
    out['failures'] = failures
    return out
