"""Other people's clients: curl over HTTP/2 with and without TLS, openssl's with early data and renegotiation; and one that
says all at once."""

import os
import socket
import subprocess
import unittest

from servers import process, web

CONF = """
master_process off;
error_log logs/error.log info;
events {{ worker_connections 512; }}
http {{
    access_log off;
    proxy_cache_path cache keys_zone=c:1m;
    upstream second {{ server 127.0.0.1:{behind}; keepalive 4; }}
    server {{
        listen 127.0.0.1:{port};
        listen 127.0.0.1:{tls} ssl;
        http2 on;
        ssl_certificate ../localhost.crt;
        ssl_certificate_key ../localhost.key;
        ssl_early_data on;
        client_max_body_size 8m;
        error_page 404 /error;
        location / {{ }}
        location = /error {{ internal; return 404 "no such thing\\n"; }}
        location /list/ {{ alias html/; autoindex on; }}
        location /proxy/ {{ proxy_pass http://second/; }}
        location /proxy2/ {{ proxy_http_version 2; proxy_pass http://second/; }}
        location /cache/ {{ proxy_cache c; proxy_cache_valid 1m; proxy_pass http://second/; }}
        location /gzip/ {{ alias html/; gzip on; gzip_min_length 0; default_type text/plain; gzip_types *; }}
        location /echo {{ content_by_lua_block {{ ngx.req.read_body() ngx.print(ngx.req.get_body_data() or io.open(ngx.req.get_body_file()):read("*a")) }} }}
        location /lua {{ content_by_lua_block {{ for i = 1, 1000 do ngx.say("line ", i) end }} }}
        location /sub {{
            content_by_lua_block {{
                local all = {{ ngx.location.capture_multi({{ {{"/small"}}, {{"/proxy/small"}}, {{"/large"}} }}) }}
                for _, res in ipairs(all) do ngx.print(res.body) end
            }}
        }}
        lingering_timeout 50ms;
        location /wait {{ content_by_lua_block {{ ngx.sleep(0.2) ngx.say("waited") }} }}
        location /early {{ return 200 "early: $ssl_early_data\\n"; }}
        location /late {{ if ($ssl_early_data) {{ return 425; }} return 200 "late\\n"; }}
    }}
    server {{ listen 127.0.0.1:{behind}; http2 on; }}
}}
"""
SMALL = "small\n"
LARGE = "0123456789abcdef" * 65536
CONTENT = {
    "/small": SMALL, "/large": LARGE, "/proxy/small": SMALL, "/proxy/large": LARGE, "/proxy2/small": SMALL,
    "/proxy2/large": LARGE, "/cache/large": LARGE, "/cache/small": SMALL, "/gzip/large": LARGE, "/sub": SMALL + SMALL + LARGE,
    "/lua": "".join(f"line {i}\n" for i in range(1, 1001)), "/missing": "no such thing\n", "/list/": None,
}


class Clients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.port, cls.tls, behind = process.free_port(), process.free_port(), process.free_port()
        conf = CONF.format(port=cls.port, tls=cls.tls, behind=behind)
        files = {"html/small": SMALL, "html/large": LARGE, **process.certificate()}
        cls.web = web.Web(conf, cls.port, files=files)

    @classmethod
    def tearDownClass(cls):
        cls.web.stop()

    def curl(self, *options):
        done = subprocess.run(["curl", "-sk", "--max-time", "20", *options], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def fetch_all(self, version, base, how):
        """One process for each: curl 7.88 cannot use a connection twice by prior knowledge, with any server."""
        mark = "\n%{http_code} %{http_version}"
        for path, body in CONTENT.items():
            got, _, status = self.curl(how, "--compressed", "-w", mark, base + path).rpartition("\n")
            self.assertEqual(status, f"{404 if path == '/missing' else 200} {version}", path)
            if body is None:
                self.assertIn('<a href="small">', got)
            else:
                self.assertTrue(got == body, f"{path}: {len(got)} bytes, {got[:60]!r}")

    def test_content(self):
        plain, secure = f"http://127.0.0.1:{self.port}", f"https://127.0.0.1:{self.tls}"
        self.fetch_all("2", plain, "--http2-prior-knowledge")
        self.fetch_all("2", secure, "--http2")
        self.fetch_all("1.1", secure, "--http1.1")
        for base, how in ((plain, "--http2-prior-knowledge"), (secure, "--http2"), (secure, "--http1.1")):
            self.assertEqual(self.curl(how, "-r", "16-31,1048560-", f"{base}/large").count("0123456789abcdef"), 2)
            self.assertEqual(self.curl(how, "-r", "-16", f"{base}/proxy/large"), "0123456789abcdef")
            self.assertTrue(self.curl(how, "-H", "Expect:", "--data-binary", f"@{self.web.folder}/html/large",
                                      f"{base}/echo") == LARGE)

    # ---- openssl's client

    def s_client(self, text, *options):
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{self.tls}", "-ign_eof", *options], input=text,
                              capture_output=True, text=True, timeout=20)
        return done.stdout + done.stderr

    def request(self, path):
        return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

    def test_early_data_is_told_and_can_be_replayed(self):
        folder = process.folder()
        session, first = f"{folder}/session", f"{folder}/first"
        self.assertIn("early: \n", self.s_client(self.request("/early"), "-tls1_3", "-sess_out", session))
        for path, answer in (("/early", "early: 1\n"), ("/late", "425 ")):
            with open(first, "w", newline="") as f:
                f.write(self.request(path))
            # The same bytes of early data with the same ticket, again: whoever minds looks at $ssl_early_data.
            for _ in range(2):
                got = self.s_client("", "-tls1_3", "-sess_in", session, "-early_data", first)
                self.assertIn("Early data was accepted", got)
                self.assertIn(answer, got)

    def test_renegotiation_is_refused(self):
        client = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{self.tls}", "-tls1_2"], text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        with client:
            client.stdin.write("R\n")  # s_client's command for it
            client.stdin.flush()
            self.assertIn("no renegotiation", client.stdout.read())
        process.wait_until("the log", lambda: "client attempted renegotiation" in self.web.log())
        self.assertIn("small", self.s_client(self.request("/small"), "-tls1_2"))

    def test_a_head_too_large_that_comes_with_the_preface(self):
        def frame(kind, flags, stream, payload):
            return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload

        head = frame(1, 1, 1, b"\x82\x86\x84\x41\x01a\x40\x03x-a\x7f\x85\x06" + b"x" * 900)
        rest = frame(9, 4, 1, b"\xbe" * 4096)  # the same field again and again
        for _ in range(10):
            with socket.create_connection(("127.0.0.1", self.port), 5) as s:
                s.settimeout(10)
                s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + head + rest)
                answer = b""
                while piece := s.recv(65536):
                    answer += piece
            self.assertIn(b"\x07\0\0\0\0\0\0\0\0\x01\0\0\0\x0b", answer)  # GOAWAY, ENHANCE_YOUR_CALM
        self.assertIn("client sent too large header", self.web.log())
        # The server lingers for less than that, and lives.
        self.assertEqual(self.curl("--http1.1", f"http://127.0.0.1:{self.port}/wait"), "waited\n")


if __name__ == "__main__":
    unittest.main()
