"""The web server under test: Moonphase, or an nginx with the Lua module to compare with."""

import functools
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile

from . import process

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_binary = None
_running = []


def set_binary(path):
    global _binary
    _binary = os.path.abspath(path)


def binary():
    return _binary


def logs(lines=30):
    """The last lines that each running web server logged."""
    return "".join(f"-- log of the server on port {web.port}\n" + "".join(web.log().splitlines(True)[-lines:])
                   for web in _running)


@functools.lru_cache(None)
def is_moonphase():
    done = subprocess.run([_binary, "-V"], capture_output=True, text=True)
    return "moonphase" in (done.stdout + done.stderr).lower()


@functools.lru_cache(None)
def knows(directive):
    """Whether the server has this directive; it says so before anything else."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "probe.conf")
        with open(path, "w") as conf:
            conf.write(f"events {{}}\nhttp {{ {directive}; }}\n")
        done = subprocess.run([_binary, "-t", "-p", folder, "-c", path, "-g", extra_directives()],
                              capture_output=True, text=True)
    return f'unknown directive "{directive}"' not in done.stderr


def extra_directives():
    """What the command line adds to a configuration: a foreground process, and for nginx its loadable modules."""
    extra = "daemon off;"
    if os.geteuid() == 0:
        extra += " user root;"
    if not is_moonphase():
        modules = "/usr/lib/nginx/modules"
        for name in ("ndk_http_module", "ngx_http_lua_module"):
            if os.path.exists(f"{modules}/{name}.so"):
                extra += f" load_module {modules}/{name}.so;"
    return extra


def lua_path():
    """lua_package_path for configurations that need a module Moonphase carries inside."""
    if is_moonphase():
        return ""
    folder = process.folder("mp-lua-")
    os.mkdir(f"{folder}/resty")
    shutil.copy(f"{ROOT}/lua/resty/mysql.lua", f"{folder}/resty")
    shutil.copytree(f"{ROOT}/lua/resty/mysql", f"{folder}/resty/mysql")
    return f'lua_package_path "{folder}/?.lua;;";'


class Web:
    """A running server. `conf` is the text of a configuration; each key of `replace` must occur in it."""

    def __init__(self, conf, port, replace=(), files=(), env=None):
        self.port = port
        self.folder = process.folder("mp-web-")
        for name in ("conf", "logs", "html"):
            os.mkdir(os.path.join(self.folder, name))
        for old, new in dict(replace).items():
            if old not in conf:
                raise AssertionError(f"{old!r} does not occur in the configuration")
            conf = conf.replace(old, new)
        path = lua_path()
        if path:
            conf = re.sub(r"(?m)^(\s*)http \{", lambda m: f"{m[0]} {path}", conf, count=1)
        self.write("conf/server.conf", conf)
        for name, text in dict(files).items():
            self.write(name, text)
        extra = extra_directives()
        if not re.search(r"(?m)^\s*pid\s", conf):
            extra += " pid logs/server.pid;"
        self.error_log = os.path.join(self.folder, "logs/error.log")
        self.daemon = process.Daemon(
            "web server",
            [_binary, "-p", self.folder + "/", "-c", "conf/server.conf", "-e", "logs/error.log", "-g", extra],
            ("127.0.0.1", port), os.path.join(self.folder, "output"), stop_signal=signal.SIGQUIT,
            env={**os.environ, **(env or {})})
        _running.append(self)

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)

    def log(self):
        """What was logged, to the error log and to the terminal."""
        text = ""
        if os.path.exists(self.error_log):
            with open(self.error_log, errors="replace") as f:
                text = f.read()
        return text + self.daemon.output()

    def request(self, path="/", method="GET", body=None, headers=(), timeout=30):
        """One request on a connection of its own: (status, headers, body as text)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body=body, headers=dict(headers))
            response = connection.getresponse()
            return response.status, response.headers, response.read().decode(errors="replace")
        finally:
            connection.close()

    def get(self, path="/", **options):
        """The body of a GET that must succeed."""
        status, _, body = self.request(path, **options)
        if status != 200:
            raise AssertionError(f"{path}: {status}\n{body}\n{self.log()}")
        return body

    def connect(self, timeout=30):
        """A raw connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def stop(self):
        """Stops gracefully. Fails when the server does not end, or logged a crash."""
        if self in _running:
            _running.remove(self)
        status = self.daemon.stop()
        log = self.log()
        if status != 0:
            raise AssertionError(f"exit status {status}\n{log}")
        for bad in ("[alert]", "Sanitizer", "Assertion"):
            if bad in log:
                raise AssertionError(f"{bad} in the log:\n{log}")
