import gzip
import http.client
import unittest

import example

INDEX = "<!doctype html><title>home</title>" + "<p>hello</p>" * 100
FILES = {
    "html/index.html": INDEX,
    "html/404.html": "nothing here",
    "html/assets/style.css": "body { color: #123 }",
    "html/app/index.html": "the application",
    "html/app/main.js": "start()",
    "html/.secret": "secret",
    "html/empty/readme.txt": "x",
}


class Static(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = example.start("static.conf", files=FILES)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def test_index_and_types(self):
        status, headers, body = self.server.request("/")
        self.assertEqual((status, headers["Content-Type"], body), (200, "text/html", INDEX))
        _, headers, _ = self.server.request("/app/main.js")
        self.assertIn(headers["Content-Type"], ("application/javascript", "text/javascript"))

    def test_conditional_and_range_requests(self):
        _, headers, _ = self.server.request("/")
        self.assertEqual(self.server.request("/", headers={"If-None-Match": headers["ETag"]})[0], 304)
        self.assertEqual(self.server.request("/", headers={"If-Modified-Since": headers["Last-Modified"]})[0], 304)
        status, headers, body = self.server.request("/", headers={"Range": "bytes=2-8"})
        self.assertEqual((status, body, headers["Content-Range"]), (206, INDEX[2:9], f"bytes 2-8/{len(INDEX)}"))
        self.assertEqual(self.server.request("/", headers={"Range": "bytes=999999-"})[0], 416)

    def test_compression(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        connection.request("GET", "/", headers={"Accept-Encoding": "gzip"})
        response = connection.getresponse()
        self.assertEqual(response.headers["Content-Encoding"], "gzip")
        self.assertEqual(gzip.decompress(response.read()).decode(), INDEX)
        connection.close()

    def test_caching_of_assets(self):
        _, headers, _ = self.server.request("/assets/style.css")
        self.assertEqual(headers["Content-Type"], "text/css")
        self.assertIn("max-age=2592000", ",".join(headers.get_all("Cache-Control")))
        self.assertIn("public", ",".join(headers.get_all("Cache-Control")))

    def test_missing_and_hidden(self):
        for path in ("/missing", "/assets/missing.css", "/.secret", "/404.html", "/empty/missing.txt"):
            status, _, body = self.server.request(path)
            self.assertEqual((status, body), (404, "nothing here"), path)

    def test_no_listing(self):
        self.assertEqual(self.server.request("/empty/")[0], 403)

    def test_folder_without_slash_redirects(self):
        status, headers, _ = self.server.request("/app")
        self.assertEqual(status, 301)
        self.assertTrue(headers["Location"].endswith("/app/"), headers["Location"])

    def test_application_of_one_page(self):
        self.assertEqual(self.server.get("/app/orders/17"), "the application")
        self.assertEqual(self.server.get("/app/main.js"), "start()")

    def test_nobody_leaves_the_root(self):
        for path in ("/../conf/server.conf", "/%2e%2e/conf/server.conf", "/app/../../conf/server.conf"):
            self.assertEqual(self.server.request(path)[0], 400, path)

    def test_head_and_other_methods(self):
        status, headers, body = self.server.request("/", "HEAD")
        self.assertEqual((status, headers["Content-Length"], body), (200, str(len(INDEX)), ""))
        self.assertEqual(self.server.request("/", "POST", "x")[0], 405)
