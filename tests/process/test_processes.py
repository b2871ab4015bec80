"""Master and workers under load: no connection is lost when processes come and go. The configuration needs nothing but
a listening server; any complete response counts."""

import collections
import os
import signal
import socket
import subprocess
import threading
import time
import unittest

from servers import process, web

CONF = """
{main}
worker_processes {workers};
pid {folder}/pid;
error_log {folder}/error.log notice;
events {{ }}
http {{
    {http}
    server {{
        listen 127.0.0.1:{port};
        listen unix:{folder}/socket;
        location / {{ {location} }}
    }}
}}
"""

# Everything that changes a dictionary, on the same few keys. A text that is whole has one letter.
DICTIONARY = """content_by_lua_block {
    local dogs, random = ngx.shared.dogs, math.random
    for _ = 1, 1000 do
        local key = "k" .. random(50)
        local what = random(8)
        if what == 1 then
            dogs:delete(key)
        elseif what <= 3 then
            dogs:set(key, string.rep(string.char(96 + random(26)), random(200)))
        elseif what == 4 then
            dogs:set(key, 1, 100)
        else
            dogs:incr(key, 1, 0)
        end
        local value = dogs:get(key)
        if type(value) == "string" and value ~= string.rep(value:sub(1, 1), #value) then
            ngx.log(ngx.CRIT, "half a value: ", value)
        end
    end
    ngx.header.content_length = 2
    ngx.print("ok")
}"""


def request(port):
    """One request on a connection of its own; what went wrong, or "ok"."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as s:
            s.settimeout(10)
            s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            answer = b""
            while True:
                piece = s.recv(65536)
                if not piece:
                    break
                answer += piece
    except OSError as e:
        return repr(e)
    head, _, body = answer.partition(b"\r\n\r\n")
    lengths = [int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return "ok" if head.startswith(b"HTTP/1.1 ") and lengths == [len(body)] else f"{len(answer)} bytes"


class Load:
    """Clients that connect, ask and close without a pause, until the block ends."""

    def __init__(self, port):
        self.port = port
        self.outcomes = collections.Counter()
        self.ending = False
        self.threads = [threading.Thread(target=self.run) for _ in range(4)]

    def run(self):
        while not self.ending:
            self.outcomes[request(self.port)] += 1

    def wait_for_more(self, count=100):
        want = sum(self.outcomes.values()) + count
        process.wait_until("requests", lambda: sum(self.outcomes.values()) >= want)

    def __enter__(self):
        for t in self.threads:
            t.start()
        self.wait_for_more()
        return self

    def __exit__(self, *unused):
        self.ending = True
        for t in self.threads:
            t.join()


class Processes(unittest.TestCase):
    def setUp(self):
        self.folder = process.folder()
        os.mkdir(self.path("logs"))
        self.port = process.free_port()
        self.started = []

    def tearDown(self):
        # Workers outlive a killed master, so they go first by name.
        for pid in [w for m in self.started for w in self.workers(m)] + self.started:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        try:
            with open(self.path(name), errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def configure(self, folder=None, workers=2, main="", http="", location=""):
        with open(os.path.join(folder or self.folder, "conf"), "w") as f:
            f.write(CONF.format(folder=folder or self.folder, port=self.port, workers=workers, main=main, http=http,
                                location=location))

    def command(self, *more):
        return [web.binary(), "-p", self.folder, "-c", "conf", "-e", "startup.log", *more]

    def start(self, **settings):
        """In the background, as users start it; returns the master's process id."""
        self.configure(**settings)
        done = subprocess.run(self.command(), stderr=subprocess.PIPE, timeout=30)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        pid = int(self.read("pid"))
        self.started.append(pid)
        process.wait_until("workers", lambda: len(self.workers(pid)) == settings.get("workers", 2))
        return pid

    def workers(self, pid):
        try:
            with open(f"/proc/{pid}/task/{pid}/children") as f:
                return [int(p) for p in f.read().split()]
        except (FileNotFoundError, ProcessLookupError):
            return []

    def ended(self, pid):
        try:
            with open(f"/proc/{pid}/stat") as f:
                return f.read().rpartition(")")[2].split()[0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True

    def gone(self, pid):
        process.wait_until(f"end of {pid}", lambda: self.ended(pid))

    def quit(self, pid):
        os.kill(pid, signal.SIGQUIT)
        self.gone(pid)

    def no_complaints(self, allowed=()):
        for line in self.read("error.log").splitlines():
            bad = any(level in line for level in ("[alert]", "[emerg]", "[crit]", "Sanitizer"))
            self.assertFalse(bad and not any(text in line for text in allowed), line)

    def reload(self, pid, workers):
        before = set(self.workers(pid))
        os.kill(pid, signal.SIGHUP)
        process.wait_until("the new workers", lambda: len(set(self.workers(pid)) - before) == workers
                           and not before & set(self.workers(pid)))

    def upgrade(self, old):
        """Starts the new binary; its process id, once its workers serve."""
        os.kill(old, signal.SIGUSR2)
        new = int(process.wait_until("the new pid", lambda: self.read("pid").strip().replace(str(old), "")))
        self.started.append(new)
        process.wait_until("the new workers", lambda: len(self.workers(new)) == 2)
        self.assertEqual(self.read("pid.oldbin").strip(), str(old))
        os.kill(old, signal.SIGWINCH)
        process.wait_until("the end of the old workers", lambda: self.workers(old) == [new])
        return new

    def test_reload_loses_nothing(self):
        pid = self.start(workers=3)
        with Load(self.port) as load:
            for workers in (3, 1, 4, 2):
                self.configure(workers=workers)
                self.reload(pid, workers)
                load.wait_for_more()
        self.assertEqual(list(load.outcomes), ["ok"])
        self.quit(pid)
        self.no_complaints()
        self.assertFalse(os.path.exists(self.path("pid")))
        self.assertFalse(os.path.exists(self.path("socket")))

    def kill_workers(self, kills, more, allowed=(), **settings):
        pid = self.start(**settings)
        with Load(self.port) as load:
            for _ in range(kills):
                before = self.workers(pid)
                os.kill(before[0], signal.SIGKILL)
                process.wait_until("a replacement", lambda: len(self.workers(pid)) == 2
                                   and before[0] not in self.workers(pid))
                load.wait_for_more(more)
        lost = sum(load.outcomes.values()) - load.outcomes["ok"]
        self.assertLessEqual(lost, kills * len(load.threads))
        self.assertNotIn("ConnectionRefusedError", str(load.outcomes))
        self.quit(pid)
        self.no_complaints(allowed=["exited on signal 9", *allowed])
        self.assertEqual(self.read("error.log").count("exited on signal 9"), kills)

    def test_killed_workers_lose_only_what_they_held(self):
        self.kill_workers(6, 100)

    def test_workers_killed_in_a_dictionary_leave_it_in_order(self):
        self.kill_workers(6, 20, ["shared memory zone \"dogs\", all of its entries are dropped"],
                          http="lua_shared_dict dogs 8m;", location=DICTIONARY)

    def test_binary_upgrade_loses_nothing(self):
        old = self.start()
        with Load(self.port) as load:
            new = self.upgrade(old)
            load.wait_for_more()
            self.quit(old)
            load.wait_for_more()
            self.assertFalse(os.path.exists(self.path("pid.oldbin")))
            self.assertTrue(os.path.exists(self.path("socket")))
        self.assertEqual(list(load.outcomes), ["ok"])
        self.assertEqual(self.read("pid").strip(), str(new))
        self.quit(new)
        self.no_complaints()

    def test_back_to_the_old_binary(self):
        old = self.start()
        new = self.upgrade(old)
        os.kill(old, signal.SIGHUP)
        process.wait_until("old workers again", lambda: len(self.workers(old)) == 3)
        self.quit(new)
        process.wait_until("the old pid file", lambda: self.read("pid").strip() == str(old))
        self.assertEqual(request(self.port), "ok")
        self.quit(old)

    def test_a_second_server_is_refused(self):
        pid = self.start()
        second = self.path("second")
        os.makedirs(os.path.join(second, "logs"))
        self.configure(second)
        command = [web.binary(), "-p", second, "-c", "conf", "-e", "startup.log"]
        done = subprocess.run(command, stderr=subprocess.PIPE, timeout=30)
        said = done.stderr.decode()
        self.assertEqual(done.returncode, 1)
        self.assertEqual(said.count(f"bind() to 127.0.0.1:{self.port} failed (98: Address already in use)"), 5)
        self.assertIn("still could not bind()", said)
        self.assertFalse(os.path.exists(os.path.join(second, "pid")))
        self.assertFalse(os.path.exists(os.path.join(second, "socket")))
        test = subprocess.run(command + ["-t"], stderr=subprocess.PIPE, timeout=30)
        self.assertEqual(test.returncode, 0, test.stderr)
        self.quit(pid)

    def test_one_process_reloads_in_place(self):
        self.configure(main="daemon off; master_process off;")
        server = subprocess.Popen(self.command())
        self.started.append(server.pid)
        process.wait_until("the pid file", lambda: self.read("pid").strip() == str(server.pid))
        with Load(self.port) as load:
            for turn in range(1, 4):
                server.send_signal(signal.SIGHUP)
                process.wait_until("the restart", lambda: self.read("error.log").count("using inherited sockets")
                                   + self.read("startup.log").count("using inherited sockets") == turn)
                load.wait_for_more()
        self.assertEqual(list(load.outcomes), ["ok"])

        with open(self.path("conf"), "a") as f:
            f.write("nonsense;\n")
        server.send_signal(signal.SIGHUP)
        process.wait_until("the refusal", lambda: 'unknown directive "nonsense"' in self.read("error.log"))
        self.assertEqual(request(self.port), "ok")
        server.send_signal(signal.SIGTERM)
        self.assertEqual(server.wait(10), 0)

    def test_closed_standard_descriptors(self):
        self.configure(main="daemon off;")
        server = subprocess.Popen(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *self.command()])
        self.started.append(server.pid)
        process.wait_until("the pid file", lambda: self.read("pid").strip() == str(server.pid))
        self.assertEqual(request(self.port), "ok")
        null = os.stat("/dev/null")
        for fd in (0, 1):
            self.assertTrue(os.path.samestat(os.stat(f"/proc/{server.pid}/fd/{fd}"), null))
        self.assertEqual(os.readlink(f"/proc/{server.pid}/fd/2"), self.path("error.log"))
        server.send_signal(signal.SIGQUIT)
        self.assertEqual(server.wait(10), 0)

    def test_the_background_fails_aloud(self):
        self.configure(main="worker_rlimit_nofile 1;")
        with open(self.path("conf"), "a") as f:
            f.write("nonsense;\n")
        done = subprocess.run(self.command(), stderr=subprocess.PIPE, timeout=30)
        self.assertEqual(done.returncode, 1)
        self.assertFalse(os.path.exists(self.path("pid")))

    def test_command_line_signals(self):
        pid = self.start()
        before = self.workers(pid)
        subprocess.run(self.command("-s", "reload"), check=True, timeout=30)
        process.wait_until("new workers", lambda: len(self.workers(pid)) == 2 and not set(before) & set(self.workers(pid)))
        os.rename(self.path("error.log"), self.path("error.old"))
        subprocess.run(self.command("-s", "reopen"), check=True, timeout=30)
        process.wait_until("the new log", lambda: os.path.exists(self.path("error.log")))
        process.wait_until("all processes", lambda: self.read("error.old").count(": reopening logs") == 3)
        subprocess.run(self.command("-s", "stop"), check=True, timeout=30)
        self.gone(pid)
        failed = subprocess.run(self.command("-s", "stop"), stderr=subprocess.PIPE, timeout=30)
        self.assertEqual(failed.returncode, 1)
        self.assertIn(b"failed (2: No such file or directory)", failed.stderr)


class Ending(unittest.TestCase):
    LIBRARY = """
#include <stdio.h>
#include <stdlib.h>
int luaopen_ending(void* L) { return 0; }
__attribute__((destructor)) static void end(void) { printf("KEPT=%s\\n", getenv("KEPT")); }
"""

    def test_a_librarys_last_words_find_the_environment(self):
        folder, port = process.folder("mp-ending-"), process.free_port()
        os.mkdir(folder + "/logs")
        # The library stays when its Lua state is closed, as most that have something to say at the end do.
        subprocess.run(["gcc", "-shared", "-fPIC", "-Wl,-z,nodelete", "-x", "c", "-", "-o", folder + "/ending.so"],
                       input=self.LIBRARY, text=True, check=True)
        with open(folder + "/conf", "w") as f:
            f.write(f"""
daemon off; master_process off; env KEPT=here; pid {folder}/pid; error_log {folder}/error.log;
events {{ }}
http {{
    lua_package_cpath "{folder}/?.so";
    init_by_lua_block {{ require "ending" }}
    server {{ listen 127.0.0.1:{port}; }}
}}
""")
        server = process.Daemon("server", [web.binary(), "-p", folder, "-c", folder + "/conf"], ("127.0.0.1", port),
                                folder + "/out")
        self.assertEqual(server.stop(), 0, server.output())
        self.assertEqual(server.output(), "KEPT=here\n")
