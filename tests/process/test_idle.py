"""What an idle connection costs: a small object and its place in the kernel, no fiber and no buffer."""

import re
import resource
import socket
import unittest

from servers import process, web

CONF = """
master_process off;
error_log logs/error.log info;
events {{ worker_connections 20000; }}
http {{
    access_log off;
    keepalive_timeout 300s;
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 200 "$fibers_active $connections_waiting"; }}
    }}
}}
"""
CONNECTIONS = 1000
MOST = 640  # bytes of the worker's own memory for each


def has_sanitizer():
    with open(web.binary(), "rb") as f:
        return b"__asan_init" in f.read()


class Idle(unittest.TestCase):
    def ask(self):
        s = socket.create_connection(("127.0.0.1", self.web.port), 20)
        self.addCleanup(s.close)
        s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        return s.recv(4096).rpartition(b"\r\n\r\n")[2].decode()

    def memory(self):
        with open(f"/proc/{self.web.daemon.pid}/smaps_rollup") as f:
            return int(re.search(r"Private_Dirty:\s+(\d+)", f.read())[1]) * 1024

    def serve(self):
        port = process.free_port()
        self.web = web.Web(CONF.format(port=port), port)
        self.addCleanup(self.web.daemon.stop)

    def test_a_client_that_has_closed_its_side_is_not_kept(self):
        self.serve()
        with socket.create_connection(("127.0.0.1", self.web.port), 20) as s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            s.shutdown(socket.SHUT_WR)
            self.assertIn(b"200 OK", s.makefile("rb").read())

    def test_memory(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = CONNECTIONS + 500
        if hard != resource.RLIM_INFINITY and hard < wanted:
            self.skipTest("not enough descriptors")
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        self.serve()
        for _ in range(200):
            self.ask()
        before = self.memory()
        for _ in range(CONNECTIONS):
            self.ask()
        self.assertEqual(self.ask(), f"0 {200 + CONNECTIONS}")
        each = (self.memory() - before) / CONNECTIONS
        print(f"{each:.0f} bytes for an idle connection")
        if not has_sanitizer():
            self.assertLess(each, MOST)


if __name__ == "__main__":
    unittest.main()
