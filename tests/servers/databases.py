"""The real MariaDB, memcached and Redis of the machine, each on a free port of 127.0.0.1."""

import functools
import os
import pwd
import shutil
import subprocess

from . import process


def find_program(*names):
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    for name in names:
        found = shutil.which(name, path=path)
        if found:
            return found
    raise FileNotFoundError(f"none of {', '.join(names)} is installed")


def certificate(folder, name="127.0.0.1"):
    """A key and a self-signed certificate for `name`, as PEM files."""
    key, cert = os.path.join(folder, "server.key"), os.path.join(folder, "server.crt")
    if not os.path.exists(cert):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "7", "-subj", f"/CN={name}",
             "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert],
            check=True, capture_output=True)
        os.chmod(key, 0o644)
    return key, cert


class MariaDb:
    """A server with the database `test`; `user` with `password` may do everything in it."""

    database = "test"
    user = "moon"
    password = "phase"

    def __init__(self):
        self.folder = process.folder("mp-mariadb-")
        self.port = process.free_port()
        self.path = os.path.join(self.folder, "sock")
        self.key, self.cert = certificate(self.folder)
        data = os.path.join(self.folder, "data")
        me = pwd.getpwuid(os.geteuid()).pw_name
        subprocess.run(
            [find_program("mariadb-install-db", "mysql_install_db"), "--no-defaults", f"--datadir={data}", f"--user={me}",
             "--auth-root-authentication-method=normal", "--skip-test-db"],
            check=True, capture_output=True)
        self.daemon = process.Daemon(
            "mariadb",
            [find_program("mariadbd", "mysqld"), "--no-defaults", f"--datadir={data}", f"--user={me}",
             f"--socket={self.path}", f"--port={self.port}", "--bind-address=127.0.0.1", "--skip-name-resolve",
             f"--pid-file={self.folder}/pid", "--skip-log-bin", "--innodb-buffer-pool-size=32M",
             "--innodb-log-file-size=8M", "--innodb-flush-log-at-trx-commit=0", "--max-allowed-packet=64M",
             f"--ssl-cert={self.cert}", f"--ssl-key={self.key}"],
            ("127.0.0.1", self.port), os.path.join(self.folder, "log"))
        self.sql(f"create database {self.database} character set utf8mb4")
        self.add_user(self.user, f"identified by '{self.password}'")

    def add_user(self, name, how):
        self.sql(f"create user '{name}'@'%' {how}; grant all on {self.database}.* to '{name}'@'%'")

    def sql(self, statement):
        """Runs statements as root; returns what the client prints."""
        done = subprocess.run(
            [find_program("mariadb", "mysql"), "--no-defaults", f"--socket={self.path}", "-uroot", "-BN"],
            input=statement, text=True, capture_output=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return done.stdout


class Memcached:
    def __init__(self):
        self.port = process.free_port()
        command = [find_program("memcached"), "-l", "127.0.0.1", "-p", str(self.port), "-U", "0", "-m", "16", "-t", "1"]
        if os.geteuid() == 0:
            command += ["-u", "root"]
        self.daemon = process.Daemon(
            "memcached", command, ("127.0.0.1", self.port), os.path.join(process.folder("mp-memcached-"), "log"))


class Redis:
    def __init__(self):
        self.port = process.free_port()
        folder = process.folder("mp-redis-")
        self.path = os.path.join(folder, "sock")
        self.daemon = process.Daemon(
            "redis",
            [find_program("redis-server"), "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--dir", folder,
             "--unixsocket", self.path],
            ("127.0.0.1", self.port), os.path.join(folder, "log"))


# One of each is enough for a test run; they start when the first test asks.

@functools.lru_cache(None)
def mariadb():
    return MariaDb()


@functools.lru_cache(None)
def memcached():
    return Memcached()


@functools.lru_cache(None)
def redis():
    return Redis()
