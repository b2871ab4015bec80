"""Workload 12: TLS handshakes, HTTPS and HTTP/2."""
import os
import re
import subprocess

import alternate
import draws


def certificate(folder):
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                    '-days', '30', '-subj', '/CN=localhost', '-keyout', folder + '/key.pem', '-out',
                    folder + '/cert.pem'], capture_output=True, check=True)
    with open(folder + '/both.pem', 'w') as out:
        for name in ('cert.pem', 'key.pem'):
            with open(os.path.join(folder, name)) as f:
                out.write(f.read())


def url(port):
    return f'https://127.0.0.1:{port}/return'


# What is run, and where the number of requests stands in what it says. `Connection: close`: each connection ends after one
# response, with TLS's goodbye. ab forgets its sessions, so every handshake is a new one; wrk remembers them, so every one
# but the first of each of its connections is resumed (both with TLS 1.3 and its key exchange).
TOOLS = {
    'handshake': (r'Complete requests: +(\d+)',
                  lambda port, s: ['ab', '-q', '-c', '16', '-t', str(s), '-n', '1000000', url(port)]),
    'resumed': (r'(\d+) requests in',
                lambda port, s: ['wrk', '-t1', '-c16', f'-d{s}s', '-H', 'Connection: close', url(port)]),
    'https': (r'(\d+) requests in', lambda port, s: ['wrk', '-t1', '-c64', f'-d{s}s', url(port)]),
    'http2': (r'(\d+) succeeded', lambda port, s: ['h2load', '-D', str(s), '-c', '1', '-m', '100', url(port)]),
}
TITLES = {'handshake': 'a new handshake, one request, the end', 'resumed': 'a resumed handshake, one request, the end',
          'https': 'HTTPS keepalive hello', 'http2': 'HTTP/2 hello, 100 streams at once'}
FLOORS = {'handshake': 'tls-responder-close', 'resumed': 'tls-responder-close', 'https': 'tls-responder'}


def turn(servers, key, seconds):
    """One turn of all servers, which are warm by then: name -> CPU a connection or request, or the error of who fails."""
    pattern, args = TOOLS[key]

    def command(name, wall):
        return args(servers[name].port, wall)

    def counted(output):
        found = re.search(pattern, output)
        if not found or 'Non-2xx' in output:
            raise RuntimeError(f'not well done: {output[-200:]}')
        return {'requests': int(found[1])}

    alternate.warm_up(servers, command)
    return alternate.turn(servers, command, counted, seconds,
                          alternate.SHORT_SLICE if key == 'https' else alternate.SLICE)


def start(farm, name):
    if name in ('haproxy', 'h2o'):
        return farm.other(name, tls=True, copied=True)
    if name in FLOORS.values():
        return farm.floor('tls_responder', 12, f'{farm.data}/cert.pem', f'{farm.data}/key.pem',
                          *(['close'] if name.endswith('close') else []), copied=True)
    return farm.compatible(name, template='tls.conf', label=f'tls-{name}', copied=True)


def measure(farm, names, turns, seconds, failed):
    """key -> server -> samples. `turns(key, samples)` counts the turns, `failed(what, who, error)` is told of everybody who
    is missing."""
    certificate(farm.data)
    farm.compile('tls_responder', '-lssl', '-lcrypto')
    out = {}
    for key in TOOLS:
        those = [*names, *([FLOORS[key]] if key in FLOORS else [])]
        with farm.stopping():
            out[key], _ = draws.take(farm, those, lambda name: start(farm, name), lambda servers: turn(servers, key, seconds),
                                     lambda samples: turns(key, samples), lambda name, e: failed('tls', f'{name}, {key}', e))
    return out
