"""resty.mysql against a scripted server: caching_sha2_password and sha256_password, and replies nobody should send."""

import random
import unittest

from lua_runner import LuaRunner, lua
from servers import mysql_script as my, web

PASSWORD = b"s3cret"


def scrambled(data, salt):
    return bytes(b ^ salt[i % len(salt)] for i, b in enumerate(data))



def needs_tls():
    if not web.knows("lua_ssl_trusted_certificate"):
        raise unittest.SkipTest("the server has no TLS sockets")


class Scripted(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.web = LuaRunner()
        cls.server = my.ScriptedServer()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()
        cls.web.stop()

    def setUp(self):
        self.server.failures.clear()

    def tearDown(self):
        if self.server.failures:
            raise self.server.failures[0]

    def play(self, script, query=None, **changes):
        """Connects to the script, runs the query. Returns what connect, or else the query returned."""
        self.server.script = script
        options = dict(host="127.0.0.1", port=self.server.port, user="u", password=PASSWORD.decode(), database="d")
        options.update(changes)
        return self.web.run(f"""
            local db = require("resty.mysql"):new()
            db:set_timeout(3000)
            local ok, err, errno, sqlstate = db:connect({lua({k: v for k, v in options.items() if v is not None})})
            if not ok then
                db:close()
                return nil, err, errno, sqlstate
            end
            local query = {lua(query) if query else "nil"}
            if not query then
                db:close()
                return ok
            end
            local res, err, errno, sqlstate = db:query(query)
            db:close()
            return res, err, errno, sqlstate
        """)


class Logins(Scripted):
    def test_native(self):
        def script(c):
            c.send(my.greeting())
            login = c.receive_login()
            assert (login["user"], login["database"], login["plugin"]) == (b"u", b"d", b"mysql_native_password"), login
            assert login["token"] == my.native_token(PASSWORD, my.SALT)
            c.send(my.ok())
        self.assertEqual(self.play(script), [1])

    def test_server_without_plugins(self):
        def script(c):
            c.send(my.greeting(flags=0x0000a200))
            login = c.receive_login()
            assert login["plugin"] == b"" and login["token"] == my.native_token(PASSWORD, my.SALT), login
            c.send(my.ok())
        self.assertEqual(self.play(script), [1])

    def test_caching_sha2_known_hash(self):
        def script(c):
            c.send(my.greeting(b"caching_sha2_password"))
            login = c.receive_login()
            assert login["plugin"] == b"caching_sha2_password"
            assert login["token"] == my.sha2_token(PASSWORD, my.SALT)
            c.send(b"\x01\x03", my.ok())
        self.assertEqual(self.play(script), [1])

    def test_caching_sha2_public_key(self):
        def script(c):
            c.send(my.greeting(b"caching_sha2_password"))
            c.receive_login()
            c.send(b"\x01\x04")
            assert c.receive() == b"\x02"
            c.send(b"\x01" + self.server.public_key())
            assert scrambled(self.server.decrypt(c.receive()), my.SALT) == PASSWORD + b"\0"
            c.send(my.ok())
        self.assertEqual(self.play(script), [1])

    def test_caching_sha2_tls(self):
        needs_tls()
        def script(c):
            c.send(my.greeting(b"caching_sha2_password", flags=0x000aaa00))
            c.start_tls(*self.server.key_pair())
            login = c.receive_login()
            assert login["token"] == my.sha2_token(PASSWORD, my.SALT)
            c.send(b"\x01\x04")
            assert c.receive() == PASSWORD + b"\0"
            c.send(my.ok())
        self.assertEqual(self.play(script, ssl=True), [1])

    def test_caching_sha2_unix_domain_socket(self):
        def script(c):
            c.send(my.greeting(b"caching_sha2_password"))
            c.receive_login()
            c.send(b"\x01\x04")
            assert c.receive() == PASSWORD + b"\0"
            c.send(my.ok())
        self.assertEqual(self.play(script, host=None, path=self.server.path), [1])

    def test_caching_sha2_without_password(self):
        def script(c):
            c.send(my.greeting(b"caching_sha2_password"))
            assert c.receive_login()["token"] == b""
            c.send(my.ok())
        self.assertEqual(self.play(script, password=None), [1])

    def test_switch_to_caching_sha2(self):
        salt = bytes(range(40, 60))

        def script(c):
            c.send(my.greeting())
            c.receive_login()
            c.send(b"\xfecaching_sha2_password\0" + salt + b"\0")
            assert c.receive() == my.sha2_token(PASSWORD, salt)
            c.send(b"\x01\x04")
            assert c.receive() == b"\x02"
            c.send(b"\x01" + self.server.public_key())
            assert scrambled(self.server.decrypt(c.receive()), salt) == PASSWORD + b"\0"
            c.send(my.ok())
        self.assertEqual(self.play(script), [1])

    def test_switch_to_native(self):
        salt = bytes(range(40, 60))

        def script(c):
            c.send(my.greeting(b"caching_sha2_password"))
            c.receive_login()
            c.send(b"\xfemysql_native_password\0" + salt + b"\0")
            assert c.receive() == my.native_token(PASSWORD, salt)
            c.send(my.ok())
        self.assertEqual(self.play(script), [1])

    def test_sha256_password(self):
        def script(c):
            c.send(my.greeting(b"sha256_password"))
            assert c.receive_login()["token"] == b"\x01"
            c.send(b"\x01" + self.server.public_key())
            assert scrambled(self.server.decrypt(c.receive()), my.SALT) == PASSWORD + b"\0"
            c.send(my.ok())
        self.assertEqual(self.play(script), [1])

    def test_sha256_password_tls(self):
        needs_tls()
        def script(c):
            c.send(my.greeting(b"sha256_password", flags=0x000aaa00))
            c.start_tls(*self.server.key_pair())
            assert c.receive_login()["token"] == PASSWORD + b"\0"
            c.send(my.ok())
        self.assertEqual(self.play(script, ssl=True), [1])

    def test_unknown_plugin_in_the_greeting_is_answered_with_native(self):
        def script(c):
            c.send(my.greeting(b"auth_gssapi"))
            login = c.receive_login()
            assert login["plugin"] == b"mysql_native_password"
            c.send(my.ok())
        self.assertEqual(self.play(script), [1])

    def test_cleartext_and_unknown_plugins_are_refused(self):
        for plugin in (b"mysql_clear_password", b"dialog"):
            def script(c):
                c.send(my.greeting())
                c.receive_login()
                c.send(b"\xfe" + plugin + b"\0")
                c.receive()
            self.assertEqual(self.play(script)[1], f"auth plugin {plugin.decode()} is not supported")

    def test_old_password_is_refused(self):
        def script(c):
            c.send(my.greeting())
            c.receive_login()
            c.send(b"\xfe")
        self.assertEqual(self.play(script)[1], "auth plugin mysql_old_password is not supported")

    def test_refusals(self):
        def greeted(c):
            c.send(my.error(1040, b"Too many connections", state=b""))

        def denied(c):
            c.send(my.greeting(b"caching_sha2_password"))
            c.receive_login()
            c.send(my.error(1045, b"Access denied", b"28000"))
        self.assertEqual(self.play(greeted), [None, "Too many connections", 1040, None])
        self.assertEqual(self.play(denied), [None, "Access denied", 1045, "28000"])

    def test_no_tls_on_the_server(self):
        self.assertEqual(self.play(lambda c: (c.send(my.greeting()), c.receive()), ssl=True)[1], "ssl disabled on server")

    def test_data_injected_before_tls(self):
        def script(c):
            c.send(my.greeting(flags=0x000aaa00), my.ok())
            c.receive()
        self.assertEqual(self.play(script, ssl=True)[1], "bad packet: data before the TLS handshake")

    def test_bad_public_keys(self):
        for key in (b"-----BEGIN PUBLIC KEY-----\nnonsense\n-----END PUBLIC KEY-----\n", b"-----BEGIN"):
            def script(c):
                c.send(my.greeting(b"sha256_password"))
                c.receive_login()
                c.send(b"\x01" + key)
                c.receive()
            self.assertEqual(self.play(script)[1], "bad public key from the server")

    def test_handshakes_that_make_no_sense(self):
        def answers(*packets, plugin=b"mysql_native_password"):
            def script(c):
                c.send(my.greeting(plugin))
                c.receive_login()
                for packet in packets:
                    c.send(packet)
                    c.receive()
            return script
        switch = b"\xfemysql_native_password\0" + my.SALT + b"\0"
        for script, err in (
                (answers(b"\x05"), "bad packet: unexpected answer to the login"),
                (answers(b"\x01\x04"), "bad packet: unexpected authentication data"),
                (answers(b"\x01-----BEGIN x"), "bad packet: unexpected public key"),
                (answers(b"\xfemysql_native_password"), "bad packet: unterminated string"),
                (answers(b"\xfemysql_native_password\0short\0"), "bad packet: salt of the wrong length"),
                (answers(switch, switch), "bad packet: second request to switch the auth plugin"),
                (lambda c: c.send(b"\x09old"), "bad packet: protocol version 9 is not supported"),
                (lambda c: c.send(my.greeting(flags=0x00082000)), "bad packet: the server is too old"),
                (lambda c: c.send(my.greeting(), seq=5), "bad packet: out of order"),
                (lambda c: c.send(b"\x0a8.0", b"\0" * 100), "bad packet: unterminated string"),
                (lambda c: c.send(b""), "bad packet: empty")):
            self.assertEqual(self.play(script)[1], err)

    def test_endless_handshake(self):
        def script(c):
            c.send(my.greeting(b"caching_sha2_password"))
            c.receive_login()
            c.send(*[b"\x01\x03"] * 50)
            c.receive()
        self.assertEqual(self.play(script)[1], "bad packet: too many packets in the handshake")

    def test_every_truncated_greeting(self):
        whole = my.greeting()
        # without its last bytes the plugin's name is another one, which the login survives
        for size in range(1, len(whole) - len("mysql_native_password") - 1):
            _, err, *_ = self.play(lambda c: c.send(whole[:size]))
            self.assertRegex(err, "^bad packet: ", f"{size} bytes")


class Results(Scripted):
    def results(self, *packets, **options):
        """What a query returns that is answered with these packets, after which the server closes."""
        def script(c):
            c.send(my.greeting())
            c.receive_login()
            c.send(my.ok())
            c.serve(*packets)
        return self.play(script, "select", **options)

    def test_ok(self):
        res, *_ = self.results(my.ok(300, 70000, 2, 65535, b"hello"))
        self.assertEqual(res, {"affected_rows": 300, "insert_id": 70000, "server_status": 2, "warning_count": 65535,
                               "message": "hello"})
        res, *_ = self.results(my.ok(2 ** 24, 2 ** 45 + 1))
        self.assertEqual((res["affected_rows"], res["insert_id"]), (2 ** 24, 2 ** 45 + 1))

    def test_message_without_length(self):
        self.assertEqual(self.results(my.ok() + b"plain text")[0]["message"], "plain text")

    def test_rows(self):
        long = b"x" * 70000
        head = (b"\x02", my.column(b"a"), my.column(b"n", 3), my.eof())
        self.assertEqual(self.results(*head, my.row(b"one", b"1"), my.row(None, None), my.row(long, b"2"), my.eof())[0],
                         [{"a": "one", "n": 1}, {"a": None, "n": None}, {"a": long.decode(), "n": 2}])
        self.assertEqual(self.results(*head, my.row(b"one", b"1"), my.error(1317, b"interrupted", b"70100")),
                         [None, "interrupted", 1317, "70100"])

    def test_first_value_longer_than_16_megabytes(self):
        # such a row starts with 0xfe, as the end of the rows does
        value = b"v" * 0x1000001
        data = my.row(value)

        def script(c):
            c.send(my.greeting())
            c.receive_login()
            c.send(my.ok())
            c.receive()
            c.send(b"\x01", my.column(b"a"), my.eof(), data[:0xffffff], data[0xffffff:], my.eof())
            c.receive()
        rows, *_ = self.play(script, "select", max_packet_size=40000000)
        self.assertTrue(rows == [{"a": value.decode()}])

    def test_split_packet_beyond_max_packet_size(self):
        def script(c):
            c.send(my.greeting())
            c.receive_login()
            c.send(my.ok())
            c.receive()
            c.send(b"\x01", my.column(b"a"), my.eof(), bytes(0xffffff), bytes(1000))
            c.receive()
        self.assertEqual(self.play(script, "select", max_packet_size=0xffffff)[:2], [None, f"packet size too big: {0xffffff + 1000}"])

    def test_bad_packets(self):
        a = my.column(b"a")
        for packets, err in (
                ((b"\xfb/etc/passwd",), "unexpected type 251"),
                ((my.eof(),), "unexpected type 254"),
                ((b"\x02extra",), "column count"),
                ((b"\xfd\xff\xff\xff",), "column count"),
                ((b"\xfc\x00\x00",), "column count"),
                ((b"\x00",), "truncated"),
                ((b"\x00\xff\x00\x02\x00\x00\x00",), "truncated"),
                ((b"\x00\xfb\x00\x02\x00\x00\x00",), "NULL for a number"),
                ((b"\xff\x01",), "truncated error"),
                ((b"",), "empty"),
                ((b"\x01", a[:-9]), "truncated"),
                ((b"\x01", b"\x03def\xfeffffffff"), "truncated"),
                ((b"\x01", a, a), "no end of the column list"),
                ((b"\x01", a, my.eof(), b"\x05abc"), "truncated"),
                ((b"\x01", a, my.eof(), b"\xfc\x05"), "truncated"),
                ((b"\x01", a, my.eof(), b"\xff"), "truncated error"),
                ((b"\x01", a, my.eof(), b"\xfe"), "truncated"),
                ((b"\x01", a, my.eof(), b"\x01aa"), "trailing data in a row"),
                ((b"\x02", a, a, my.eof(), b"\x01a"), "truncated")):
            self.assertEqual(self.results(*packets)[:2], [None, "bad packet: " + err], packets)

    def test_out_of_order(self):
        def script(c):
            c.send(my.greeting())
            c.receive_login()
            c.send(my.ok())
            c.receive()
            c.send(my.ok(), seq=9)
            c.receive()
        self.assertEqual(self.play(script, "select")[:2], [None, "bad packet: out of order"])

    def test_farewell_of_an_idle_server(self):
        def script(c):
            c.send(my.greeting())
            c.receive_login()
            c.send(my.ok())
            c.send(my.error(4031, b"The client was disconnected by the server because of inactivity"), seq=0)
            c.receive()
        self.assertEqual(self.play(script, "select")[2], 4031)

    def test_closed_in_the_middle(self):
        whole = my.row(b"a" * 50)

        def script(c):
            c.send(my.greeting())
            c.receive_login()
            c.send(my.ok())
            c.receive()
            c.send(b"\x01", my.column(b"a"), my.eof())
            c.sock.sendall(b"\x33\0\0\x04" + whole[:20])
        self.assertEqual(self.play(script, "select")[:2], [None, "failed to receive the packet: closed"])

    def test_unread_data_is_not_pooled(self):
        def script(c):
            c.send(my.greeting())
            c.receive_login()
            c.send(my.ok())
            c.receive()
            c.send(my.ok(), my.ok())
            c.receive()
        self.server.script = script
        self.assertEqual(self.web.run(f"""
            local db = require("resty.mysql"):new()
            assert(db:connect {{ host = "127.0.0.1", port = {self.server.port}, user = "u" }})
            assert(db:query("do 1"))
            return select(2, db:set_keepalive()), db:close()
        """)[0], "unread data in buffer")

    def test_mutated_replies_never_break_the_client(self):
        rng = random.Random(20240229)
        packets = [b"\x02", my.column(b"a"), my.column(b"n", 3), my.eof(), my.row(b"one", b"1"), my.row(None, b"x" * 300),
                   my.eof(my.MORE_RESULTS), my.ok(5, 6, 2, 0, b"done")]
        for round_ in range(250):
            mutated = list(packets)
            for _ in range(rng.randint(1, 3)):
                at = rng.randrange(len(mutated))
                data = bytearray(mutated[at])
                for _ in range(rng.randint(1, 3)):
                    kind = rng.randrange(3)
                    if kind == 0 and data:
                        data[rng.randrange(len(data))] = rng.choice([0, 1, 0x7f, 0xfb, 0xfc, 0xfd, 0xfe, 0xff, rng.randrange(256)])
                    elif kind == 1:
                        del data[rng.randrange(len(data) + 1):]
                    else:
                        data.insert(rng.randrange(len(data) + 1), rng.randrange(256))
                mutated[at] = bytes(data)
            res, *rest = self.results(*mutated)
            self.assertTrue(res is not None or isinstance(rest[0], str), f"round {round_}: {res} {rest}")
