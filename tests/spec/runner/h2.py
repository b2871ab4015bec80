"""Sends a `request` section over HTTP/2 with curl, and shows the answer like an HTTP/1 response."""
import re
import subprocess

from .client import Response, build_request
from .text import Failure, expand

# What HTTP/2 does not carry as fields, or curl adds by itself.
HOP = {'host', 'connection', 'keep-alive', 'transfer-encoding', 'upgrade'}


def exchange(run, section):
    wire, method = build_request(section, run.names, True)
    head, _, body = wire.partition(b'\r\n\r\n')
    lines = head.decode('utf-8', 'surrogateescape').split('\r\n')
    target = lines[0].split(' ')[1]
    fields = [x.partition(':') for x in lines[1:]]
    host = next((v.strip() for k, _, v in fields if k.lower() == 'host'), 'localhost')
    if section.flag('chunked') or section.option('chunked'):
        body = expand(section.text, run.names).partition('\n\n')[2].rstrip('\n').encode('utf-8', 'surrogateescape')
    port = int(expand(section.option('port', '$PORT'), run.names))
    tls = section.flag('tls')
    name = section.option('sni', host.partition(':')[0] or 'localhost')
    args = ['curl', '-sS', '-i', '--path-as-is', '--globoff', '--max-time', str(run.timeout), '-X', method,
            '--http2' if tls else '--http2-prior-knowledge', '-k', '--connect-to', f'::127.0.0.1:{port}',
            '-H', 'Accept:', '-H', 'User-Agent:', '-H', f'Host: {host}']
    if method == 'HEAD':
        args.append('-I')
    has_type = any(k.lower() == 'content-type' for k, _, _ in fields)
    for key, _, value in fields:
        if key.lower() not in HOP and not (key.lower() == 'content-length' and body):
            args += ['-H', f'{key}:{value}' if value.strip() else f'{key};']
    if body:
        args += ['--data-binary', '@-'] + ([] if has_type else ['-H', 'Content-Type:'])
    args.append(f'{"https" if tls else "http"}://{name}:{port}{target}')
    result = subprocess.run(args, input=body, capture_output=True, timeout=run.timeout + 5)
    if not result.stdout:
        if result.returncode in (16, 52, 55, 56, 92):
            return None
        raise Failure(f'curl ended with {result.returncode}: {result.stderr.decode("utf-8", "replace")}')
    return parse(result.stdout)


def parse(data):
    response = Response()
    while True:
        head, _, rest = data.partition(b'\r\n\r\n')
        lines = head.decode('utf-8', 'surrogateescape').split('\r\n')
        match = re.fullmatch(r'HTTP/(\S+) (\d{3}) ?(.*)', lines[0])
        if not match:
            raise Failure(f'not a status line: {lines[0]!r}')
        response.version, response.status, response.reason = match[1], int(match[2]), match[3]
        if response.status >= 200:
            break
        response.interim.append(response.status)
        data = rest
    response.headers = [(k, v.strip()) for k, _, v in (x.partition(':') for x in lines[1:])]
    response.body, response.wire = rest, data
    return response
