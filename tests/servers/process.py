"""Child processes, ports and folders. Everything started or made here is gone when the interpreter exits."""

import atexit
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

_running = []
_folders = []
_given_ports = set()


def folder(prefix="mp-test-"):
    """A new folder, removed at exit."""
    path = tempfile.mkdtemp(prefix=prefix)
    os.chmod(path, 0o755)
    _folders.append(path)
    return path


def certificate():
    """A new key and its certificate for localhost: names of files and their texts."""
    where = folder()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-keyout", f"{where}/localhost.key", "-out",
                    f"{where}/localhost.crt"], check=True, capture_output=True)
    files = {}
    for name in ("localhost.key", "localhost.crt"):
        with open(f"{where}/{name}") as f:
            files[name] = f.read()
    return files


def free_port():
    """A port of 127.0.0.1 that nobody listens on, below the range the kernel gives to outgoing connections.

    No port is given twice: one configuration may need two of them before either is listened on.
    """
    while True:
        port = random.randint(20000, 32000)
        if port in _given_ports:
            continue
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            _given_ports.add(port)
            return port


def wait_until(what, condition, seconds=30, process=None):
    """Returns condition()'s first true value; fails after `seconds`, or when `process` ends before."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"{what}: the process ended with {process.returncode}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def accepts(address):
    """Whether somebody accepts connections at (host, port) or at the path of a unix domain socket."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as s:
        s.settimeout(1)
        try:
            s.connect(address)
            return True
        except OSError:
            return False


class Daemon:
    """A child process that serves `address`; its output goes to `log`."""

    def __init__(self, name, command, address, log, env=None, cwd=None, stop_signal=signal.SIGTERM):
        self.name = name
        self.log = log
        self.stop_signal = stop_signal
        with open(log, "ab") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, cwd=cwd)
        _running.append(self)
        try:
            wait_until(name, lambda: accepts(address), process=self.process)
        except RuntimeError as e:
            self.stop()
            raise RuntimeError(f"{e}\n{self.output()}") from None

    @property
    def pid(self):
        return self.process.pid

    @contextlib.contextmanager
    def held(self):
        """Stopped meanwhile: when it goes on, it finds all that has come at once."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def output(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def stop(self):
        """Ends the process, with force after 15 seconds. Returns the exit status."""
        if self in _running:
            _running.remove(self)
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode


@atexit.register
def _clean_up():
    for daemon in reversed(list(_running)):
        daemon.stop()
    for path in _folders:
        shutil.rmtree(path, ignore_errors=True)
