"""The server under test: its folder, its configuration, its start and its end."""
import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from . import tls
from .text import Failure, clip, expand, unescape

FORBIDDEN = re.compile(rb'\[(?:alert|emerg|crit)\]|Sanitizer|Assertion .* failed|:\d+:\d+: runtime error: |exited on signal')
PORTS_FROM, PORTS_EACH, PORT_SLOTS = 21000, 12, 800


class Ports:
    """A range of ports held with a lock for as long as the process runs, so that runs do not meet."""

    def __init__(self):
        folder = os.path.join(tempfile.gettempdir(), f'spec-ports.{os.getuid()}')
        os.makedirs(folder, exist_ok=True)
        for slot in range(PORT_SLOTS):
            self.lock = open(os.path.join(folder, str(slot)), 'w')
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                self.lock.close()
                continue
            base = PORTS_FROM + slot * PORTS_EACH
            if all(self.free(base + i) for i in range(PORTS_EACH)):
                self.names = {'PORT': base, **{f'PORT{i}': base + i for i in range(1, 10)}}
                return
            self.lock.close()
        raise SystemExit('no free range of ports')

    @staticmethod
    def free(port):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_INET, kind) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    sock.bind(('127.0.0.1', port))
                except OSError:
                    return False
        return True


class Options:
    """How to start the binary; the same for all blocks of a run."""

    def __init__(self, binary, peer=False, flavour='release', h2=False):
        self.binary, self.peer, self.flavour, self.h2 = os.path.abspath(binary), peer, flavour, h2
        self.slow = 4 if flavour == 'asan' else 1
        self.modules = ''
        if peer:
            folder = '/usr/lib/nginx/modules'
            for name in ('ndk_http', 'ngx_http_lua', 'ngx_http_echo', 'ngx_http_headers_more_filter'):
                if os.path.exists(f'{folder}/{name}_module.so'):
                    self.modules += f'load_module {folder}/{name}_module.so;\n'
        about = subprocess.run([self.binary, '-V'], capture_output=True, text=True)
        self.about = about.stdout + about.stderr


TEMPLATE = '''%(modules)s%(user)sdaemon off;
%(processes)s
error_log logs/error.log %(level)s;
pid logs/nginx.pid;
%(main)s
events {
    worker_connections 256;
}
http {
    access_log logs/access.log;
    default_type text/plain;
    client_body_temp_path temp/body;
    proxy_temp_path temp/proxy;
    fastcgi_temp_path temp/fastcgi;
    scgi_temp_path temp/scgi;
    uwsgi_temp_path temp/uwsgi;
%(http2)s%(http)s
    server {
        listen 127.0.0.1:%(port)s%(listen)s;
        server_name localhost;
%(config)s
    }
}
'''


class Server:
    def __init__(self, block, options, names):
        self.block, self.options = block, options
        self.prefix = tempfile.mkdtemp(prefix='spec.')
        os.chmod(self.prefix, 0o755)
        self.names = dict(names, PREFIX=self.prefix, CERTS=self.prefix + '/certs', BINARY=options.binary)
        self.process, self.pid = None, None
        self.scanned = {}
        self.used = False  # by a block
        for name in ('logs', 'temp', 'html', 'conf'):
            os.mkdir(f'{self.prefix}/{name}')
            os.chmod(f'{self.prefix}/{name}', 0o777)
        self.error_log = f'{self.prefix}/logs/error.log'
        self.stderr = f'{self.prefix}/logs/stderr'
        self.pid_file = f'{self.prefix}/logs/nginx.pid'
        self.write_files()
        self.write_conf(block.one('config'))

    def write_files(self):
        for section in self.block.all_of('files'):
            target = None
            for line in section.lines:
                if line.startswith('>>> '):
                    target = self.open_file(line[4:])
                elif target is not None:
                    target.write(expand(line + '\n', self.names).encode('utf-8', 'surrogateescape'))
        if '$CERTS' in ''.join(s.text for s in self.block.setup):
            tls.certificates(self.names['CERTS'])

    def open_file(self, line):
        """`>>> name [mode=0600] [mtime=UNIX] [link=TARGET] [text=ESCAPED]`; a trailing slash makes a folder."""
        words = line.partition(' text=')[0].split()
        name = expand(words[0], self.names)
        path = self.prefix + name if name.startswith('/') else f'{self.prefix}/html/{name}'
        os.makedirs(path if name.endswith('/') else os.path.dirname(path), exist_ok=True)
        options = dict(w.split('=', 1) for w in words[1:])
        if ' text=' in line:
            options['text'] = line.partition(' text=')[2]
        if name.endswith('/'):
            return None
        if 'link' in options:
            os.symlink(options['link'], path)
            return None
        with open(path, 'wb') as f:
            f.write(unescape(expand(options.get('text', ''), self.names)))
        os.chmod(path, int(options.get('mode', '644'), 8))
        if 'mtime' in options:
            os.utime(path, (int(options['mtime']), int(options['mtime'])))
            return Later(path, int(options['mtime'])) if 'text' not in options else None
        return open(path, 'ab', buffering=0) if 'text' not in options else None

    def write_conf(self, config):
        block, workers = self.block, self.block.one('workers').strip()
        whole = block.one('conf')
        http2 = not self.options.peer and self.wants_http2()
        if whole and http2:
            whole = re.sub(r'^(\s*http\s*\{)', r'\1 http2 on;', whole, flags=re.M)
        text = whole if whole else TEMPLATE % {
            'modules': self.options.modules,
            'user': 'user root;\n' if os.getuid() == 0 and workers else '',
            'processes': f'worker_processes {workers};' if workers else 'master_process off;',
            'level': block.one('log_level', 'info').strip(),
            'main': block.one('main'), 'http': block.one('http'), 'config': config,
            'port': self.names['PORT'],
            'http2': 'http2 on;\n' if http2 else '',
            'listen': ' http2' if self.options.h2 and self.options.peer else '',
        }
        with open(f'{self.prefix}/conf/nginx.conf', 'w', encoding='utf-8', errors='surrogateescape') as f:
            f.write(expand(text.replace('$MODULES', self.options.modules), self.names))

    def wants_http2(self):
        return (self.block.speaks_http2() or self.options.h2) and not re.search(r'^\s*http2 (on|off);', self.block.one('http'), re.M)

    # --- life -----------------------------------------------------------------------------------------

    def environment(self):
        env = dict(os.environ)
        for line in expand(self.block.one('env'), self.names).splitlines():
            name, _, value = line.partition('=')
            env[name] = value
        return env

    def command(self, *extra):
        return [self.options.binary, '-p', self.prefix + '/', '-c', 'conf/nginx.conf', '-e', 'logs/error.log', *extra]

    def spawn(self):
        """Starts the binary; True once its pid file is there, False when it has ended."""
        args = expand(self.block.one('args'), self.names).split()
        with open(self.stderr, 'ab') as err:
            self.process = subprocess.Popen(self.command(*args), stdin=subprocess.DEVNULL, stdout=err, stderr=err,
                                            env=self.environment(), start_new_session=True)
        deadline = time.monotonic() + 10 * self.options.slow
        while True:
            pid = self.read(self.pid_file).strip()
            if pid:
                self.pid = int(pid)
                return True
            if self.process.poll() is not None:
                return False
            if time.monotonic() > deadline:
                raise Failure(f'no pid file after {10 * self.options.slow} s:\n{self.complaint()}')
            time.sleep(0.002)

    def start(self):
        if not self.spawn():
            raise Failure(f'the server did not start, status {self.process.returncode}:\n{self.complaint()}')

    def refuse(self, section):
        """The start must fail; its message has every line of the section."""
        if self.spawn():
            raise Failure('the configuration was accepted')
        if self.process.returncode == 0:
            raise Failure('the configuration was not accepted, and yet the status is 0')
        self.process = None
        got = self.read(self.stderr)
        for line in expand(section.text, self.names).splitlines():
            if not (re.search(line.encode(), got) if section.flag('like') else line.encode() in got):
                raise Failure(f'the refusal does not have\n  {line}\ngot:\n{clip(got)}')
        self.check_output(got, [re.compile(rb'\[emerg\]|\[crit\]|\[alert\]')])

    def complaint(self):
        return clip(self.read(self.stderr) or self.read(self.error_log), 2000)

    def workers(self):
        try:
            with open(f'/proc/{self.pid}/task/{self.pid}/children', encoding='ascii') as f:
                return {int(x) for x in f.read().split()}
        except OSError:
            return set()

    def signal(self, name, target='master'):
        pids = sorted(self.workers()) if target == 'worker' else [self.pid]
        for pid in pids:
            os.kill(pid, getattr(signal, 'SIG' + name))

    def wait_exit(self, seconds=5):
        try:
            return self.process.wait(seconds * self.options.slow)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, how='QUIT'):
        """Ends the server; it must go within five seconds, with status 0 and without its pid file."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.signal(how)
        status = self.wait_exit()
        process, self.process = self.process, None
        if status is None:
            self.kill(process)
            raise Failure(f'still running 5 s after SIG{how}')
        if status != 0:
            raise Failure(f'the server ended with status {status}:\n{self.complaint()}')
        if os.path.exists(self.pid_file):
            raise Failure('the pid file was left behind')

    @staticmethod
    def kill(process):
        """The server leads a process group of its own, so that its workers go with it."""
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except OSError:
            pass
        process.wait()

    def reload(self, section, timeout):
        """HUP, and the wait for its effect: new workers in the place of the old ones, or one more [emerg] line."""
        if section.lines:
            self.write_conf(section.text)
        if section.flag('fail'):
            before = self.read(self.error_log).count(b'[emerg]')
            self.signal('HUP')
            self.until(lambda: self.read(self.error_log).count(b'[emerg]') > before, timeout, 'no refusal was logged')
            return
        old = self.workers()
        if not old:
            raise Failure('reload needs "--- workers: N"')
        self.signal('HUP')
        self.until(lambda: len(self.workers() - old) >= len(old), timeout, 'no new workers after HUP')
        if not section.flag('nowait'):
            self.until(lambda: not self.workers() & old, timeout, 'the old workers are still there')

    def until(self, condition, timeout, message):
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise Failure(f'{message}; {self.complaint()}')
            time.sleep(0.005)

    # --- logs -----------------------------------------------------------------------------------------

    @staticmethod
    def read(path):
        try:
            with open(path, 'rb') as f:
                return f.read()
        except FileNotFoundError:
            return b''

    def scan(self, allowed):
        """Looks at what was logged since the last call for lines that no test may cause."""
        for path in (self.error_log, self.stderr):
            data = self.read(path)
            fresh, self.scanned[path] = data[self.scanned.get(path, 0):], len(data)
            self.check_output(fresh, allowed)

    @staticmethod
    def check_output(data, allowed):
        for line in data.splitlines():
            if FORBIDDEN.search(line) and not any(a.search(line) for a in allowed):
                at = data.index(line)
                raise Failure(f'unexpected log line:\n{clip(data[at:at + 3000], 3000)}')

    def remove(self):
        shutil.rmtree(self.prefix, ignore_errors=True)


class Later:
    """A file whose time is set after the last write."""

    def __init__(self, path, mtime):
        self.path, self.mtime = path, mtime

    def write(self, data):
        with open(self.path, 'ab') as f:
            f.write(data)
        os.utime(self.path, (self.mtime, self.mtime))
