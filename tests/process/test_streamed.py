"""Request bodies that are passed on as they come: what leaves together."""

import socket
import struct
import unittest

from servers import process, web

CONF = """
master_process off;
error_log logs/error.log info;
events {{ worker_connections 64; }}
http {{
    access_log off;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{behind};
            proxy_http_version 1.1;
            proxy_request_buffering off;
        }}
    }}
}}
"""


def data_segments(s):
    """Segments with data that have come (tcpi_data_segs_in)."""
    return struct.unpack_from("I", s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256), 152)[0]


def read_until(s, end):
    data = b""
    while not data.endswith(end):
        piece = s.recv(4096)
        assert piece, data
        data += piece
    return data


class Streamed(unittest.TestCase):
    def setUp(self):
        self.behind = socket.create_server(("127.0.0.1", 0))
        self.behind.settimeout(20)
        port = process.free_port()
        self.web = web.Web(CONF.format(port=port, behind=self.behind.getsockname()[1]), port)
        self.client = socket.create_connection(("127.0.0.1", port), 20)

    def tearDown(self):
        self.client.close()
        self.web.stop()
        self.behind.close()

    def test_the_end_goes_with_the_last_piece(self):
        self.client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n")
        server, _ = self.behind.accept()
        with server:
            server.settimeout(20)
            self.assertTrue(read_until(server, b"01234\r\n").endswith(b"\r\n\r\n5\r\n01234\r\n"))
            before = data_segments(server)
            self.client.sendall(b"5\r\n56789\r\n0\r\n\r\n")
            self.assertEqual(read_until(server, b"0\r\n\r\n"), b"5\r\n56789\r\n0\r\n\r\n")
            self.assertEqual(data_segments(server) - before, 1)
            server.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            self.assertIn(b" 204 ", read_until(self.client, b"\r\n\r\n"))


if __name__ == "__main__":
    unittest.main()
