"""No descriptor and no disk space left: an error for the request that needs one, a line in the log, nothing else lost."""

import contextlib
import http.client
import os
import resource
import socket
import subprocess
import threading
import unittest

from servers import process, web

CONF = """
master_process off;
error_log logs/error.log info;
events {{ }}
http {{
    client_body_buffer_size 4k;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    client_max_body_size 10m;
    keepalive_requests 100000;
    server {{
        listen 127.0.0.1:{port} sndbuf=16k;
        root {folder};
        location = /return {{ return 200 "hello"; }}
        location = /pid {{ return 200 "$pid"; }}
        location = /slow {{ content_by_lua_block {{ ngx.sleep(0.3) ngx.print("hello") }} }}
        location = /lua {{
            content_by_lua_block {{
                local ok, err = ngx.socket.tcp():connect("127.0.0.1", {upstream})
                ngx.print(ok or err)
            }}
        }}
        location = /timer {{
            content_by_lua_block {{ ngx.print(tostring(ngx.timer.at(0, function() io.open("/dev/null") end))) }}
        }}
        location /proxy {{ proxy_pass http://127.0.0.1:{upstream}; proxy_buffers 4 4k; }}
        location = /body {{ content_by_lua_block {{ ngx.req.read_body() ngx.print(ngx.req.get_headers()["content-length"]) }} }}
    }}
}}
"""
LARGE = b"0123456789abcdef" * 65536


class Upstream:
    """Answers every request with LARGE."""

    def __init__(self):
        self.listener = socket.socket()
        self.port = process.free_port()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    @staticmethod
    def serve(sock):
        with sock, contextlib.suppress(OSError):
            while b"\r\n\r\n" not in sock.recv(65536):
                pass
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LARGE) + LARGE)


class Exhaustion(unittest.TestCase):
    def setUp(self):
        self.folder = process.folder()
        for name in ("body", "proxy"):
            os.mkdir(f"{self.folder}/{name}")
            os.chmod(f"{self.folder}/{name}", 0o777)
        with open(f"{self.folder}/file", "wb") as f:
            f.write(LARGE)
        self.upstream = Upstream()
        self.addCleanup(self.upstream.listener.close)
        port = process.free_port()
        self.web = web.Web(CONF.format(folder=self.folder, port=port, upstream=self.upstream.port), port)
        self.pid = int(self.web.get("/pid"))

    def tearDown(self):
        self.web.daemon.stop()

    def connection(self):
        """A kept connection that the server has accepted."""
        c = http.client.HTTPConnection("127.0.0.1", self.web.port, timeout=20)
        self.addCleanup(c.close)
        self.assertEqual(self.ask(c, "/return"), (200, b"hello"))
        return c

    @staticmethod
    def ask(connection, target, method="GET", body=None):
        connection.request(method, target, body=body)
        response = connection.getresponse()
        return response.status, response.read()

    @contextlib.contextmanager
    def limited(self, what, limit):
        before = resource.prlimit(self.pid, what)
        resource.prlimit(self.pid, what, (limit, before[1]))
        try:
            yield
        finally:
            resource.prlimit(self.pid, what, before)

    def no_descriptor_left(self):
        used = {int(fd) for fd in os.listdir(f"/proc/{self.pid}/fd")}
        return self.limited(resource.RLIMIT_NOFILE, min(set(range(len(used) + 1)) - used))

    def logged(self, text):
        process.wait_until(text, lambda: text in self.web.log(), 5)

    def all_is_well(self):
        for name in ("body", "proxy"):
            process.wait_until("no temporary files", lambda place=f"{self.folder}/{name}": not os.listdir(place), 5)
        for target, wanted in (("/file", LARGE), ("/proxy", LARGE), ("/lua", b"1"), ("/return", b"hello")):
            self.assertEqual(self.ask(self.connection(), target), (200, wanted))
        self.assertEqual(self.ask(self.connection(), "/body", "POST", LARGE), (200, str(len(LARGE)).encode()))
        self.assertNotIn("[alert]", self.web.log())
        self.web.stop()

    def test_accepting_pauses(self):
        busy = self.connection()
        with self.no_descriptor_left():
            busy.request("GET", "/slow")
            late = socket.create_connection(("127.0.0.1", self.web.port), 20)
            self.addCleanup(late.close)
            late.sendall(b"GET /return HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            self.logged("[crit]")
            self.assertEqual(busy.getresponse().read(), b"hello")
        self.assertIn("accept4() failed (24: Too many open files)", self.web.log())
        self.assertIn(b"\r\n\r\nhello", late.makefile("rb").read())
        # Half a second apart, not as fast as the loop turns.
        self.assertLessEqual(self.web.log().count("accept4() failed"), 4)
        self.all_is_well()

    def test_requests_that_need_a_descriptor(self):
        kept, for_file, for_body = (self.connection() for _ in range(3))
        with self.no_descriptor_left():
            self.assertEqual(self.ask(kept, "/proxy")[0], 500)
            self.logged("socket() failed (24: Too many open files)")
            self.assertEqual(self.ask(kept, "/lua"), (200, b"too many open files"))
            self.assertEqual(self.ask(kept, "/timer"), (200, b"1"))
            self.assertEqual(self.ask(kept, "/return"), (200, b"hello"))
            self.assertEqual(self.ask(for_file, "/file")[0], 500)
            self.logged('file" failed (24: Too many open files)')
        # The connection that had no file was closed, which left a descriptor.
        with self.no_descriptor_left():
            self.assertEqual(self.ask(for_body, "/body", "POST", LARGE)[0], 500)
            self.logged('body/')
            self.assertEqual(self.ask(kept, "/return"), (200, b"hello"))
        self.assertEqual(self.ask(kept, "/file"), (200, LARGE))
        self.all_is_well()

    def slow_reader(self):
        s = socket.socket()
        self.addCleanup(s.close)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(20)
        s.connect(("127.0.0.1", self.web.port))
        s.sendall(b"GET /proxy HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return s

    def full_disk(self, text):
        """What happens while temporary files cannot grow; `text` is how the kernel says so."""
        self.assertEqual(self.ask(self.connection(), "/body", "POST", LARGE)[0], 500)
        self.logged(text)
        # A response that can be stored nowhere goes at the client's pace, and arrives.
        before = self.web.log().count(text)
        slow = self.slow_reader()
        process.wait_until("the spill", lambda: self.web.log().count(text) > before, 5)
        answer = slow.makefile("rb").read()
        self.assertEqual(answer.partition(b"\r\n\r\n")[2], LARGE)
        self.assertEqual(self.ask(self.connection(), "/file"), (200, LARGE))
        small = b"x" * 5000
        self.assertEqual(self.ask(self.connection(), "/body", "POST", small), (200, b"5000"))

    def test_files_may_not_grow(self):
        with self.limited(resource.RLIMIT_FSIZE, 64 * 1024):
            self.full_disk("failed (27: File too large)")
        self.all_is_well()

    @unittest.skipUnless(os.geteuid() == 0, "needs root for a file system of its own")
    def test_full_disk(self):
        for name in ("body", "proxy"):
            done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", f"{self.folder}/{name}"],
                                  capture_output=True)
            if done.returncode:
                self.skipTest("no right to mount")
            self.addCleanup(subprocess.run, ["umount", "-l", f"{self.folder}/{name}"], stderr=subprocess.DEVNULL)
        self.full_disk("failed (28: No space left on device)")
        for name in ("body", "proxy"):
            subprocess.run(["umount", "-l", f"{self.folder}/{name}"], check=True)
        self.all_is_well()


if __name__ == "__main__":
    unittest.main()
