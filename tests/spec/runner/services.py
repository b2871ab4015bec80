"""Real services for blocks that need one: `--- service redis $PORT2`, memcached, mariadb."""
import os
import shutil
import socket
import subprocess
import time

from .text import Failure, expand


class Service:
    def __init__(self, args, port, folder):
        self.log = open(f'{folder}/output', 'ab')
        self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=folder)
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(('127.0.0.1', port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    with open(f'{folder}/output', encoding='utf-8', errors='replace') as f:
                        raise Failure(f'{args[0]} did not start: {f.read()[-1500:]}') from None
            time.sleep(0.01)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


def tool(name):
    path = shutil.which(name, path=os.environ.get('PATH', '') + ':/usr/sbin:/usr/local/sbin')
    if path is None:
        raise Failure(f'{name} is not installed')
    return path


def redis(port, folder):
    return [tool('redis-server'), '--port', str(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder]


def memcached(port, folder):
    return [tool('memcached'), '-p', str(port), '-l', '127.0.0.1', '-U', '0', '-u', 'nobody']


def mariadb(port, folder):
    """A fresh server with a database `test` and a user `test`/`secret`."""
    data = f'{folder}/data'
    user = ['--user=root'] if os.getuid() == 0 else []
    subprocess.run([tool('mariadb-install-db'), '--no-defaults', f'--datadir={data}', '--skip-test-db',
                    '--auth-root-authentication-method=normal', *user], check=True, capture_output=True)
    with open(f'{folder}/init.sql', 'w', encoding='ascii') as f:
        f.write("CREATE DATABASE test;\nCREATE USER 'test'@'%' IDENTIFIED BY 'secret';\n"
                "GRANT ALL ON test.* TO 'test'@'%';\n")
    return [tool('mariadbd'), '--no-defaults', f'--datadir={data}', f'--port={port}', '--bind-address=127.0.0.1',
            f'--socket={folder}/mariadb.sock', f'--pid-file={folder}/mariadb.pid', f'--init-file={folder}/init.sql',
            '--innodb-buffer-pool-size=16M', *user]


KINDS = {'redis': redis, 'memcached': memcached, 'mariadb': mariadb}


def start_services(block, server):
    out = []
    for section in block.setup:
        if section.name != 'service':
            continue
        kind, port = section.words[0], int(expand(section.words[1], server.names))
        folder = f'{server.prefix}/{kind}.{port}'
        os.mkdir(folder)
        out.append(Service(KINDS[kind](port, folder), port, folder))
    return out
