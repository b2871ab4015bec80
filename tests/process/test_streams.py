"""Logs on the streams the server was started with, whatever those are."""

import http.client
import os
import socket
import subprocess
import threading
import unittest

from servers import process, web

CONF = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {error} info;
events {{ }}
http {{
    access_log {access};
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 200; }}
    }}
}}
"""


class Streams(unittest.TestCase):
    def serve(self, access, error, stdout, stderr, wrap=()):
        """A server that has answered one request and ended."""
        folder = process.folder()
        os.mkdir(f"{folder}/logs")
        for path in (folder, f"{folder}/logs"):
            os.chmod(path, 0o777)
        os.symlink("/dev/stdout", f"{folder}/logs/link.log")
        port = process.free_port()
        with open(f"{folder}/conf", "w") as f:
            f.write(CONF.format(folder=folder, port=port, access=access, error=error))
        server = subprocess.Popen([*wrap, web.binary(), "-p", folder, "-c", "conf", "-e", "startup.log"], stdout=stdout,
                                  stderr=stderr)
        process.wait_until("the server", lambda: process.accepts(("127.0.0.1", port)), process=server)
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        client.request("GET", "/asked")
        self.assertEqual(client.getresponse().status, 200)
        client.close()
        server.terminate()
        self.assertEqual(server.wait(10), 0)

    def test_sockets(self):
        ours, theirs = socket.socketpair()
        ours.settimeout(10)
        with ours, theirs:
            for access, error in (("/dev/stdout", "stderr"), ("logs/link.log", "/dev/stderr")):
                self.serve(access, error, theirs, theirs)
                text = b""
                while b"GET /asked" not in text or b"exit" not in text:
                    text += ours.recv(65536)

    def test_pipes(self):
        for access in ("/dev/stdout", "logs/link.log"):
            reading, writing = os.pipe()
            found = []
            with open(reading, "rb") as lines:
                reader = threading.Thread(target=lambda: found.extend(lines.readlines()))
                reader.start()
                self.serve(access, "startup.log", writing, subprocess.DEVNULL)
                os.close(writing)
                reader.join(10)
            self.assertTrue(any(b"GET /asked" in line for line in found))

    @unittest.skipUnless(os.geteuid() == 0, "needs root to become somebody else")
    def test_somebody_elses_pipe(self):
        """As in a container: the engine's pipe, and a user who may not open it."""
        as_nobody = ["setpriv", "--reuid", "65534", "--clear-groups"]
        if subprocess.run([*as_nobody, web.binary(), "-v"], capture_output=True).returncode:
            self.skipTest("nobody may not run the binary")
        if not subprocess.run([*as_nobody, "sh", "-c", ": > /dev/stdout"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE).returncode:
            self.skipTest("here everybody may open everybody's pipes")
        reading, writing = os.pipe()
        with open(reading, "rb") as lines:
            with open(writing, "wb") as end:
                self.serve("/dev/stdout", "startup.log", end, subprocess.DEVNULL, as_nobody)
            self.assertIn(b"GET /asked", lines.read())


if __name__ == "__main__":
    unittest.main()
