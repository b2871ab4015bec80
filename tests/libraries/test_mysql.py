"""resty.mysql against a real MariaDB."""

import time
import unittest

from lua_runner import LuaRunner, lua
from servers import databases, delay, web


class MySql(unittest.TestCase):
    @classmethod
    def http_conf(cls):
        return ""

    @classmethod
    def setUpClass(cls):
        cls.db = databases.mariadb()
        cls.web = LuaRunner(cls.http_conf())

    @classmethod
    def tearDownClass(cls):
        cls.web.stop()

    def options(self, **changes):
        options = dict(host="127.0.0.1", port=self.db.port, database=self.db.database, user=self.db.user,
                       password=self.db.password)
        options.update(changes)
        return lua({k: v for k, v in options.items() if v is not None})

    def run_lua(self, chunk, **changes):
        """Runs a chunk that finds the module in `mysql` and a connected object in `db`."""
        return self.web.run(f"""
            local mysql = require "resty.mysql"
            local opts = {self.options(**changes)}
            local db = assert(mysql:new())
            db:set_timeout(5000)
            assert(db:connect(opts))
            local function values(...)
                db:close()
                return ...
            end
            {chunk}
        """)

    def connect(self, **changes):
        """What connect returns."""
        return self.web.run(f"""
            local mysql = require "resty.mysql"
            local db = assert(mysql:new())
            db:set_timeout(5000)
            local ok, err, errno, sqlstate = db:connect({self.options(**changes)})
            local res = ok and db:query("select 1 as one")
            db:close()
            return ok, err, errno, sqlstate, res
        """)


class Values(MySql):
    def test_numbers_are_numbers_and_bigint_is_a_string(self):
        rows, = self.run_lua("""return values((assert(db:query(
            "select count(*) as big, 7 as small, 3.25 as dec_, 1e3 as dbl from dual")))) """)
        self.assertEqual(rows, [{"big": "1", "small": 7, "dec_": 3.25, "dbl": 1000}])

    def test_every_column_type(self):
        rows, = self.run_lua("""
            assert(db:query("drop table if exists types"))
            assert(db:query([[create table types (a tinyint, b smallint, c mediumint, d int, e bigint unsigned, f float,
                g double, h decimal(20,5), i year, j bit(8), k date, l time, m datetime, n char(3), o varchar(300), p text,
                q blob, r enum('x','y'), s set('u','v'), t timestamp null)]]))
            assert(db:query([[insert into types values (-128, 32767, -8388608, 2147483647, 18446744073709551615, 1.5, -2.25,
                12345.67890, 1999, 65, '2001-02-03', '-01:02:03', '2004-05-06 07:08:09', 'abc', repeat('z', 300), 'text',
                x'410a42', 'y', 'u,v', '2010-11-12 13:14:15')]]))
            assert(db:query("insert into types (a) values (null)"))
            return values((assert(db:query("select * from types"))))
        """)
        self.assertEqual(rows[0], {
            "a": -128, "b": 32767, "c": -8388608, "d": 2147483647, "e": "18446744073709551615", "f": 1.5, "g": -2.25,
            "h": 12345.6789, "i": 1999, "j": "A", "k": "2001-02-03", "l": "-01:02:03", "m": "2004-05-06 07:08:09", "n": "abc",
            "o": "z" * 300, "p": "text", "q": "A\nB", "r": "y", "s": "u,v", "t": "2010-11-12 13:14:15"})
        self.assertEqual(rows[1], dict.fromkeys("abcdefghijklmnopqrst"))

    def test_null_is_ngx_null_and_empty_string_is_empty(self):
        self.assertEqual(self.run_lua("""
            local res = assert(db:query("select null as n, '' as e, 'x' as x"))
            return values(res[1].n == ngx.null, res[1].e == "", res[1].x)
        """), [True, True, "x"])

    def test_compact_arrays(self):
        self.assertEqual(self.run_lua("""
            local first = assert(db:query("select 1 as a, 'x' as b, null as c union all select 2, 'y', 'z'"))
            db:set_compact_arrays(false)
            return values(first, (assert(db:query("select 1 as a"))))
        """, compact_arrays=True), [[[1, "x", None], [2, "y", "z"]], [{"a": 1}]])

    def test_empty_result(self):
        self.assertEqual(self.run_lua('return values((assert(db:query("select 1 from dual where false"))))'), [[]])

    def test_writes_tell_what_they_did(self):
        drop, insert, update = self.run_lua("""
            local drop = assert(db:query("drop table if exists nowhere"))
            assert(db:query("drop table if exists cats"))
            assert(db:query("create table cats (id serial primary key, name varchar(5))"))
            local insert = assert(db:query("insert into cats (name) values ('Bob'), (''), (null)"))
            local update = assert(db:query("update cats set name = 'Tom' where id < 3"))
            return values(drop, insert, update)
        """)
        self.assertEqual((drop["affected_rows"], drop["insert_id"], drop["warning_count"], drop["server_status"]), (0, 0, 1, 2))
        self.assertNotIn("message", drop)
        self.assertEqual((insert["affected_rows"], insert["insert_id"]), (3, 1))
        self.assertEqual(insert["message"], "Records: 3  Duplicates: 0  Warnings: 0")
        self.assertEqual(update["message"], "Rows matched: 2  Changed: 2  Warnings: 0")

    def test_insert_id_beyond_32_bits(self):
        self.assertEqual(self.run_lua("""
            assert(db:query("drop table if exists ids"))
            assert(db:query("create table ids (id bigint not null auto_increment primary key)"))
            assert(db:query("alter table ids auto_increment = 5000000312"))
            return values(assert(db:query("insert into ids values (null)")).insert_id)
        """), [5000000312])

    def test_many_rows_and_wide_rows(self):
        self.assertEqual(self.run_lua("""
            local res = assert(db:query("select seq, repeat(char(97 + seq % 26), seq % 700) as s from seq_1_to_20000", 20000))
            local good = 0
            for i, row in ipairs(res) do
                if tonumber(row.seq) == i and row.s == string.rep(string.char(97 + i % 26), i % 700) then
                    good = good + 1
                end
            end
            local cols = {}
            for i = 1, 1500 do
                cols[i] = i .. " as c" .. i
            end
            local wide = assert(db:query("select " .. table.concat(cols, ",")))
            return values(#res, good, wide[1].c1, wide[1].c251, wide[1].c1500)
        """), [20000, 20000, 1, 251, 1500])

    def test_multiple_results(self):
        self.assertEqual(self.run_lua("""
            local out = {}
            local res, err = db:query("select 1 as a; do 1; select 'x' as b where false; select 3 as c")
            while res do
                out[#out + 1] = { res.affected_rows or res, err or "end" }
                if err ~= "again" then
                    break
                end
                res, err = db:read_result()
            end
            return values(out)
        """), [[[[{"a": 1}], "again"], [0, "again"], [[], "again"], [[{"c": 3}], "end"]]])

    def test_error_in_a_later_result(self):
        self.assertEqual(self.run_lua("""
            local res, err = db:query("select 1 as a; select * from missing_table; select 2")
            local second = { db:read_result() }
            return values(err, second[1], second[2], second[3], second[4], (db:query("select 5 as five")))
        """), ["again", None, "Table 'test.missing_table' doesn't exist", 1146, "42S02", [{"five": 5}]])

    def test_stored_procedure(self):
        self.assertEqual(self.run_lua("""
            assert(db:query("drop procedure if exists two"))
            assert(db:query("create procedure two() begin select 1 as a; select 2 as b; end"))
            local out = {}
            local res, err = db:query("call two()")
            out[1] = res
            while err == "again" do
                res, err = assert(db:read_result())
                out[#out + 1] = res.affected_rows or res
            end
            return values(out)
        """), [[[{"a": 1}], [{"b": 2}], 0]])


class Errors(MySql):
    def test_syntax_error_leaves_the_connection_usable(self):
        err, errno, sqlstate, after = self.run_lua("""
            local res, err, errno, sqlstate = db:query("bad SQL")
            return values(err, errno, sqlstate, (db:query("select 1 as one")))
        """)
        self.assertIn("You have an error in your SQL syntax", err)
        self.assertEqual((errno, sqlstate, after), (1064, "42000", [{"one": 1}]))

    def test_wrong_password(self):
        ok, err, errno, sqlstate, _ = self.connect(password="wrong")
        self.assertIsNone(ok)
        self.assertRegex(err, r"Access denied for user 'moon'@'[^']+' \(using password: YES\)")
        self.assertEqual((errno, sqlstate), (1045, "28000"))

    def test_no_password(self):
        ok, err, errno, _, _ = self.connect(password=None)
        self.assertIn("(using password: NO)", err)

    def test_unknown_database(self):
        _, err, errno, sqlstate, _ = self.connect(database="nosuch")
        self.assertIn("'nosuch'", err)
        self.assertIn((errno, sqlstate), [(1044, "42000"), (1049, "42000")])

    def test_refused(self):
        _, err, errno, _, _ = self.connect(port=1)
        self.assertEqual((err, errno), ("failed to connect: connection refused", None))

    def test_bad_options(self):
        self.assertEqual(self.connect(host=None)[1], 'neither "host" nor "path" options are specified')
        self.assertEqual(self.connect(charset="klingon")[1], "charset 'klingon' is not supported")

    def test_wrong_states(self):
        self.assertEqual(self.web.run(f"""
            local mysql = require "resty.mysql"
            local out = {{}}
            local function note(a, err)
                out[#out + 1] = a == nil and err or "?"
            end
            note(mysql.set_timeout({{}}, 1))
            note(mysql.connect({{}}, {{}}))
            note(mysql.send_query({{}}, "x"))
            note(mysql.read_result({{}}))
            note(mysql.set_keepalive({{}}))
            note(mysql.get_reused_times({{}}))
            note(mysql.close({{}}))
            local db = mysql:new()
            note(db:send_query("select 1"))
            note(db:read_result())
            note(db:set_keepalive())
            assert(db:connect({self.options()}))
            note(db:read_result())
            assert(db:send_query("select 1; select 2"))
            note(db:query("select 1"))
            note(db:set_keepalive())
            local _, again = db:read_result()
            assert(again == "again")
            note(db:set_keepalive())
            assert(db:read_result())
            db:close()
            note(db:send_query("select 1"))
            return out
        """), [[
            "not initialized", "not initialized", "not initialized", "not initialized", "not initialized",
            "not initialized", "not initialized",
            "cannot send query in the current context: nil", "cannot read result in the current context: nil",
            "cannot be reused in the current connection state: nil",
            "cannot read result in the current context: 1",
            "failed to send query: cannot send query in the current context: 2",
            "cannot be reused in the current connection state: 2",
            "cannot be reused in the current connection state: 2",
            "cannot send query in the current context: nil",
        ]])

    def test_reply_beyond_max_packet_size(self):
        err, keep = self.run_lua("""
            local res, err = db:query("select repeat('x', 5000)")
            local ok, keep = db:set_keepalive()
            return values(err, keep)
        """, max_packet_size=4096)
        self.assertEqual(err, "packet size too big: 5003")
        self.assertEqual(keep, "cannot be reused in the current connection state: 2")

    def test_server_closes_the_connection(self):
        err = self.run_lua("""
            local id = assert(db:query("select connection_id() as id"))[1].id
            local other = mysql:new()
            assert(other:connect(opts))
            assert(other:query("kill " .. id))
            other:close()
            local res, err, errno = db:query("select 1")
            if res == nil and errno then  -- the server's farewell
                db.state = nil
            end
            return values(err)
        """)[0]
        self.assertRegex(err, "closed|broken pipe|connection reset|Connection was killed")


class Timeouts(MySql):
    def test_read_timeout(self):
        start = time.monotonic()
        err, keep = self.run_lua("""
            db:set_timeout(150)
            local res, err = db:query("select sleep(3)")
            local ok, keep = db:set_keepalive()
            return values(err, keep)
        """)
        self.assertIn("timeout", err)
        self.assertEqual(keep, "cannot be reused in the current connection state: 2")
        self.assertLess(time.monotonic() - start, 2.5)

    def test_slow_reply_byte_by_byte(self):
        with delay.Proxy(("127.0.0.1", self.db.port), chunk=7) as proxy:
            self.assertEqual(self.run_lua("""
                return values((assert(db:query("select 'abcdefghijklmnopqrstuvwxyz' as a, 7 as n union select 'q', 8"))))
            """, port=proxy.port), [[{"a": "abcdefghijklmnopqrstuvwxyz", "n": 7}, {"a": "q", "n": 8}]])


class BigPackets(MySql):
    def test_query_and_reply_of_more_than_16_megabytes(self):
        for size in (0xffffff - 1, 20000000):
            self.assertEqual(self.run_lua(f"""
                db:set_timeout(30000)
                local s = string.rep("0123456789abcdef", {size // 16 + 1}):sub(1, {size})
                local res = assert(db:query("select '" .. s .. "' as s, length('" .. s .. "') as n, 'end' as e"))
                return values(res[1].s == s, tonumber(res[1].n), res[1].e, (assert(db:query("select 1 as one"))))
            """, max_packet_size=64000000), [True, size, "end", [{"one": 1}]])

    def test_three_packets_in_each_direction(self):
        self.assertEqual(self.run_lua("""
            db:set_timeout(30000)
            local s = string.rep("0123456789abcdef", 2200000)
            local res = assert(db:query("select '" .. s .. "' as s"))
            return values(res[1].s == s, (assert(db:query("select 1 as one"))))
        """, max_packet_size=64000000), [True, [{"one": 1}]])

    def test_packets_of_exactly_the_limit(self):
        # a payload of 0xffffff bytes is followed by an empty frame, in both directions
        query_overhead = 1 + len("select length('') as n")
        row_overhead = 4
        self.assertEqual(self.run_lua(f"""
            db:set_timeout(30000)
            local n = {0xffffff - query_overhead}
            local res = assert(db:query("select length('" .. string.rep("x", n) .. "') as n"))
            local row = assert(db:query("select repeat('y', {0xffffff - row_overhead}) as s"))
            return values(tonumber(res[1].n) == n, #row[1].s, (assert(db:query("select 1 as one"))))
        """, max_packet_size=64000000), [True, 0xffffff - row_overhead, [{"one": 1}]])


class Pools(MySql):
    def test_reuse(self):
        self.assertEqual(self.run_lua("""
            local times = { db:get_reused_times() }
            local id = assert(db:query("select connection_id() as id"))[1].id
            for i = 1, 3 do
                assert(db:set_keepalive(10000, 10))
                assert(db:connect(opts))
                times[#times + 1] = db:get_reused_times()
                if assert(db:query("select connection_id() as id"))[1].id ~= id then
                    times[#times + 1] = "another connection"
                end
            end
            return values(times)
        """, pool="reuse"), [[0, 1, 2, 3]])

    def test_default_pools_are_told_apart(self):
        self.assertEqual(self.run_lua("""
            assert(db:set_keepalive(10000, 10))
            local out = {}
            for _, change in ipairs { { database = "" }, { path = %s }, {} } do
                local o = {}
                for k, v in pairs(opts) do o[k] = v end
                for k, v in pairs(change) do o[k] = v end
                local other = mysql:new()
                assert(other:connect(o))
                out[#out + 1] = other:get_reused_times()
                other:close()
            end
            return out
        """ % lua(self.db.path)), [[0, 0, 1]])

    def test_pool_size_and_backlog(self):
        self.assertEqual(self.run_lua("""
            local second = mysql:new()
            local ok, err = second:connect(opts)
            db:close()
            return err
        """, pool="small", pool_size=1, backlog=0), ["failed to connect: too many waiting connect operations"])


class Logins(MySql):
    def test_version(self):
        self.assertRegex(self.run_lua("return values(db:server_ver())")[0], r"^\d+\.\d+\.\d+-.*MariaDB")

    def test_unix_domain_socket(self):
        self.assertEqual(self.connect(host=None, path=self.db.path)[0], 1)

    def test_account_without_password(self):
        self.db.add_user("open_door", "identified by ''")
        self.assertEqual(self.connect(user="open_door", password=None)[4], [{"one": 1}])
        self.assertEqual(self.connect(user="open_door", password="")[4], [{"one": 1}])

    def test_charsets(self):
        for name, text in (("utf8mb4", "愛🌙"), ("utf8", "愛麗絲"), ("big5", "愛麗絲"), ("gbk", "愛"), ("latin1", "é")):
            hexed = text.encode({"utf8mb4": "utf8", "latin1": "cp1252"}.get(name, name)).hex().upper()
            self.assertEqual(self.run_lua(f"""
                local res = assert(db:query("select _utf8mb4 x'{text.encode().hex()}' as s"))
                return values((res[1].s:gsub(".", function (c) return ("%02X"):format(c:byte()) end)))
            """, charset=name, pool="charset " + name)[0], hexed, name)

    def test_ed25519(self):
        self.db.sql("install soname 'auth_ed25519'")
        self.db.add_user("curve", "identified via ed25519 using password('Ed password')")
        self.assertEqual(self.connect(user="curve", password="Ed password")[4], [{"one": 1}])
        self.assertEqual(self.connect(user="curve", password="Ed passwore")[2], 1045)

    def test_plugin_that_nobody_here_speaks(self):
        self.db.add_user("peer", "identified via unix_socket")
        _, err, errno, _, _ = self.connect(host=None, path=self.db.path, user="peer")
        self.assertTrue(errno == 1698 or "auth plugin" in err, err)


class Tls(MySql):
    @classmethod
    def http_conf(cls):
        if not web.knows("lua_ssl_trusted_certificate"):
            raise unittest.SkipTest("the server has no TLS sockets")
        return f"lua_ssl_trusted_certificate {cls.db.cert};"

    def test_tls(self):
        self.db.add_user("tls_only", f"identified by 'pw' require ssl")
        self.assertEqual(self.connect(user="tls_only", password="pw")[2], 1045)
        self.assertEqual(self.connect(user="tls_only", password="pw", ssl=True)[4], [{"one": 1}])
        self.assertEqual(self.connect(user="tls_only", password="pw", ssl=True, ssl_verify=True)[4], [{"one": 1}])
        self.assertEqual(self.connect(host=None, path=self.db.path, user="tls_only", password="pw", ssl=True)[4], [{"one": 1}])
        self.assertNotEqual(self.run_lua("""return values((db:query("show status like 'Ssl_cipher'")))""", ssl=True,
                                         compact_arrays=True)[0][0][1], "")

    def test_tls_with_an_unknown_certificate(self):
        other = LuaRunner()
        try:
            err = other.run(f"""
                local db = require("resty.mysql"):new()
                return select(2, db:connect({self.options(ssl=True, ssl_verify=True)}))
            """)[0]
        finally:
            other.stop()
        if not web.is_moonphase() and err == "failed to send client authentication packet: closed":
            return  # nginx closes the socket but forgets the error when the handshake ends without waiting
        self.assertRegex(err, "^failed to do ssl handshake: .*(self.signed|certificate)")

    def test_plain_connection_is_not_reused(self):
        self.assertEqual(self.run_lua("""
            assert(db:set_keepalive(10000, 10))
            local out = {}
            for _, ssl in ipairs { true, false } do
                opts.ssl = ssl
                local other = mysql:new()
                assert(other:connect(opts))
                out[#out + 1] = other:get_reused_times()
                assert(other:set_keepalive(10000, 10))
            end
            return out
        """), [[0, 1]])
