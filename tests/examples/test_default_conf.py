import http.client
import os
import unittest

from servers import process, web


class DefaultConf(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        def read(name):
            with open(os.path.join(web.ROOT, "conf", name)) as f:
                return f.read()

        port, upstream = process.free_port(), process.free_port()
        # The log files take the place of a terminal. /dev/stdout cannot be opened by its name when it is a socket.
        cls.server = web.Web(
            read("moonphase.conf"), port, replace={"8080": str(port), "8081": str(upstream), "/dev/stdout": "logs/access.log",
                                                   "error_log stderr": "error_log logs/error.log"},
            files={"conf/mime.types": read("mime.types"), "html/index.html": read("html/index.html")})

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        with open(os.path.join(cls.server.folder, "logs/access.log")) as f:
            log = f.read()
        assert '"GET /proxy/a/b?c=d HTTP/1.1" 200 ' in log and "s upstream=\"127.0.0.1:" in log, log
        assert not os.path.exists(os.path.join(cls.server.folder, "logs/moonphase.pid"))

    def test_start_page(self):
        status, headers, body = self.server.request("/")
        self.assertEqual((status, headers["Content-Type"]), (200, "text/html"))
        self.assertIn("Moonphase is running", body)

    def test_lua(self):
        first, second = self.server.get("/lua?name=moon"), self.server.get("/lua")
        self.assertRegex(first, r"^Hello from Lua, moon!\nYou are visitor number 1, served by worker \d+\.\nIt is \d{4}-")
        self.assertRegex(second, r"^Hello from Lua, stranger!\nYou are visitor number 2, ")

    def test_proxy(self):
        self.assertEqual(self.server.get("/proxy/a/b?c=d"), "Hello from the server behind the proxy.\n"
                         "It was asked for /proxy/a/b?c=d by 127.0.0.1.\n")

    def test_missing(self):
        self.assertEqual(self.server.request("/missing")[0], 404)

    def test_pid_file(self):
        with open(os.path.join(self.server.folder, "logs/moonphase.pid")) as f:
            self.assertEqual(int(f.read()), self.server.daemon.pid)


class Unprivileged(unittest.TestCase):
    """As ./dev run starts it: the configuration as it is, but for the ports, with a prefix elsewhere."""

    @unittest.skipUnless(os.geteuid() == 0, "only root can start it as somebody else")
    def test_as_nobody(self):
        if not web.is_moonphase():
            self.skipTest("Debian's nginx writes below /var/lib")
        folder = process.folder("mp-prefix-")
        os.makedirs(f"{folder}/logs")
        os.makedirs(f"{folder}/html")
        conf = process.folder("mp-conf-")
        port, upstream = process.free_port(), process.free_port()
        for name in ("moonphase.conf", "mime.types", "html/index.html"):
            with open(os.path.join(web.ROOT, "conf", name)) as f:
                text = f.read().replace("8080", str(port)).replace("8081", str(upstream))
            with open(os.path.join(folder if "html" in name else conf, name), "w") as f:
                f.write(text)
        for path, _, names in os.walk(folder):
            os.chown(path, 65534, 65534)
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", web.binary(), "-p", folder + "/",
                   "-c", f"{conf}/moonphase.conf", "-e", "stderr", "-g", "daemon off;"]
        output = os.path.join(process.folder(), "output")
        with open(output, "w") as f:  # the access log opens it again, by the name /dev/stdout
            os.fchmod(f.fileno(), 0o666)
        daemon = process.Daemon("web server", command, ("127.0.0.1", port), output)
        try:
            for path in ("/", "/lua", "/proxy"):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                connection.request("GET", path)
                self.assertEqual(connection.getresponse().status, 200, daemon.output())
                connection.close()
        finally:
            status = daemon.stop()
        self.assertEqual(status, 0)
        self.assertIn('"GET /lua HTTP/1.1" 200 ', daemon.output())
