"""The programs that are measured: how each is configured, started, found again in /proc, and stopped."""
import contextlib
import functools
import os
import shutil
import signal
import socket
import subprocess
import time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SERVER_CORE, LOAD_CORE = 0, (1 if (os.cpu_count() or 1) > 1 else 0)
NGINX_MODULES = '/usr/lib/nginx/modules'


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def wait_for(port, process, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f'{process.args[:4]} ended with status {process.returncode}')
        try:
            socket.create_connection(('127.0.0.1', port), 1).close()
            return
        except OSError:
            time.sleep(0.002)
    raise RuntimeError(f'{process.args[:4]} does not listen on {port}')


def pinned(core, args):
    """The command on one processor; on all of them when `core` is None."""
    return ['taskset', '-c', f'0-{(os.cpu_count() or 1) - 1}' if core is None else str(core), *args]


def fill(template, out, values):
    with open(os.path.join(HERE, 'conf', template)) as f:
        text = f.read()
    for name, value in values.items():
        text = text.replace(f'@{name}@', str(value))
    with open(out, 'w') as f:
        f.write(text)


def children_of(pid):
    """The process and everything below it."""
    found = [pid]
    for at in found:
        try:
            with open(f'/proc/{at}/task/{at}/children') as f:
                found += [int(x) for x in f.read().split()]
        except OSError:
            pass
    return found


class Server:
    """One running program. `kind`: moonphase, nginx (also what reads the same configuration), haproxy, h2o, floor, redis."""

    def __init__(self, name, kind, args, port, core=SERVER_CORE, cwd=None, wrapper=(), log=None):
        self.name, self.kind, self.port = name, kind, port
        self.command, self.cwd = pinned(core, [*wrapper, *args]), cwd
        self.log = open(log, 'a') if log else subprocess.DEVNULL
        self.start()

    def start(self):
        started = time.monotonic()
        self.process = subprocess.Popen(self.command, cwd=self.cwd, stdout=self.log, stderr=self.log,
                                        start_new_session=True)
        try:
            wait_for(self.port, self.process)
        except BaseException:  # also when the run is interrupted: nobody else knows of it yet
            self.stop()
            raise
        self.start_seconds = time.monotonic() - started

    def pids(self):
        return children_of(self.process.pid)

    def cpu(self):
        """(nanoseconds on the processor, user ticks, system ticks) of all its threads so far."""
        total = user = system = 0
        for pid in self.pids():
            try:
                for task in os.listdir(f'/proc/{pid}/task'):
                    with open(f'/proc/{pid}/task/{task}/schedstat') as f:
                        total += int(f.read().split()[0])
                with open(f'/proc/{pid}/stat') as f:
                    fields = f.read().rsplit(')', 1)[1].split()
                user += int(fields[11])
                system += int(fields[12])
            except (OSError, IndexError):
                pass
        return total, user, system

    def memory(self):
        """Bytes of all its processes that are no file's; what several share counts once."""
        total = 0
        for pid in self.pids():
            try:
                with open(f'/proc/{pid}/smaps_rollup') as f:
                    for line in f:
                        if line.startswith(('Pss_Anon', 'Pss_Shmem')):
                            total += int(line.split()[1]) * 1024
            except OSError:
                pass
        return total

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                for pid in reversed(self.pids()):
                    os.kill(pid, signal.SIGKILL)
                self.process.wait()
        if self.log is not subprocess.DEVNULL:
            self.log.close()


@functools.cache
def nginx_prelude(binary):
    """load_module lines for a binary whose Lua module is a shared object; nothing when it is built in."""
    shown = subprocess.run([binary, '-V'], capture_output=True, text=True).stderr
    if 'lua' in shown.replace('lua-nginx', '').lower() and '--with-http_lua' in shown:
        return ''
    lines = []
    for module in ('ndk_http_module', 'ngx_http_lua_module'):
        path = f'{NGINX_MODULES}/{module}.so'
        if os.path.exists(path) and '--modules-path' in shown:
            lines.append(f'load_module {path};')
    return '\n'.join(lines)


class Farm:
    """Everything that one run starts, in one folder of its own; stops it all at the end. A server that is `copied` runs
    from a new file of its own."""

    def __init__(self, folder, moonphase, peers):
        self.folder, self.moonphase, self.peers = folder, moonphase, peers
        self.running = []
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        self.data = os.path.join(folder, 'data')
        os.makedirs(self.data)
        self.values = {'data': self.data, 'mime': os.path.join(HERE, 'conf', 'types'), 'lua': os.path.join(HERE, 'lua')}

    def dir(self, name):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.join(path, 'logs'), exist_ok=True)
        return path

    def started(self, server):
        self.running.append(server)
        return server

    @contextlib.contextmanager
    def program(self, path, copied):
        """What to start: the program itself, or a copy of it, whose file is needed until the program runs."""
        if not copied:
            yield path
            return
        copy = os.path.join(self.folder, f'{os.path.basename(path)}.copy')
        # A page at a time: what is written in larger pieces gets runs of pages, which lie in the caches as those of any
        # other copy do.
        with open(path, 'rb') as source, open(copy, 'wb', buffering=0) as out:
            shutil.copyfileobj(source, out, os.sysconf('SC_PAGE_SIZE'))
        shutil.copymode(path, copy)
        try:
            yield copy
        finally:
            os.unlink(copy)

    def compile(self, program, *libraries):
        subprocess.run(['gcc', '-O2', '-o', os.path.join(self.folder, program), os.path.join(HERE, 'floor', program + '.c'),
                        *libraries], check=True)

    def floor(self, program, *args, core=SERVER_CORE, copied=False):
        port = free_port()
        with self.program(os.path.join(self.folder, program), copied) as path:
            return self.started(Server(program, 'floor', [path, str(port), *map(str, args)], port, core))

    def compatible(self, name, template='server.conf', workers=1, core=SERVER_CORE, wrapper=(), conf=None, label=None,
                   connections=15000, copied=False):
        """Moonphase, nginx or another binary that reads the same configuration."""
        binary = self.moonphase if name == 'moonphase' else self.peers[name]
        label = label or name
        folder = self.dir(label)
        port = free_port()
        path = os.path.join(folder, 'server.conf')
        values = {**self.values, 'dir': folder, 'port': port, 'workers': workers, 'connections': connections,
                  'master': 'on' if workers > 1 else 'off',
                  'load': '' if name == 'moonphase' else nginx_prelude(binary)}
        if conf is None:
            fill(template, path, values)
        else:
            for key, value in values.items():
                conf = conf.replace(f'@{key}@', str(value))
            with open(path, 'w') as f:
                f.write(conf)
        args = ['-p', folder + '/', '-c', path]
        kind = 'moonphase' if name == 'moonphase' else 'nginx'
        with self.program(binary, copied) as program:
            server = Server(name, kind, [program, *args], port, core, wrapper=wrapper, log=os.path.join(folder, 'out.log'))
        server.args = [binary, *args]
        server.folder = folder
        return self.started(server)

    def other(self, name, core=SERVER_CORE, tls=False, connections=6000, copied=False):
        """haproxy or h2o: a configuration of its own, with an extra part for TLS."""
        folder, port = self.dir(f'{name}-tls' if tls else name), free_port()
        plain, secret = {'haproxy': ('', f' ssl crt {self.data}/both.pem alpn h2,http/1.1'),
                         'h2o': ('', f'\n  ssl:\n    certificate-file: {self.data}/cert.pem\n    key-file: {self.data}/key.pem')}[name]
        path = os.path.join(folder, name + '.conf')
        fill({'haproxy': 'haproxy.cfg', 'h2o': 'h2o.yaml'}[name], path,
             {**self.values, 'dir': folder, 'port': port, 'tls': secret if tls else plain, 'connections': connections})
        args = ['-db', '-f', path] if name == 'haproxy' else ['-c', path]
        with self.program(self.peers[name], copied) as program:
            return self.started(Server(name, name, [program, *args], port, core, log=folder + '/out.log'))

    def stop(self, server):
        server.stop()
        self.running.remove(server)

    @contextlib.contextmanager
    def stopping(self):
        """What is started meanwhile is stopped at the end."""
        before = len(self.running)
        try:
            yield
        finally:
            while len(self.running) > before:
                self.running.pop().stop()

    def stop_all(self):
        while self.running:
            self.running.pop().stop()
