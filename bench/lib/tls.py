"""Workload 12: TLS handshakes, HTTPS and HTTP/2."""
import os
import re
import subprocess

import alternate


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
    'http2': (r'(\d+) succeeded', lambda port, s: ['h2load', '-n', '20000', '-c', '1', '-m', '100',
                                                   f'https://127.0.0.1:{port}/return']),
}
TITLES = {'handshake': 'a new handshake', 'resumed': 'a resumed handshake', 'https': 'HTTPS keepalive hello',
          'http2': 'HTTP/2 hello, 100 streams at once'}


def turn(servers, key, seconds):
    """One turn of all servers: name -> CPU a connection or request, user and system, or the error of who fails."""
    pattern, args = TOOLS[key]
    out = {}
    done = alternate.turn(servers, lambda name, wall: args(servers[name].port, wall), seconds)
    for name, (output, _, cpu) in done.items():
        found = re.search(pattern, output)
        if found and int(found[1]) > 0:
            out[name] = alternate.spent(cpu, int(found[1]))
        else:
            out[name] = RuntimeError(f'nothing was done: {output[-200:]}')
    return out


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
    out = {}
    for key in TOOLS:
        values = {n: [] for n in servers}
        for _ in range(alternations):
            for n, one in turn({n: servers[n] for n in values}, key, seconds).items():
                if isinstance(one, Exception):
                    failures.append(f'{key}, {n}: {one}')
                    del values[n]
                    servers[n].revive()
                else:
                    values[n].append(one)
        out[key] = values
    for server in servers.values():
        farm.stop(server)
    out['failures'] = failures
    return out
