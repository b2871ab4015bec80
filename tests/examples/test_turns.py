import unittest

import example


class Turns(unittest.TestCase):
    def test_threads_take_turns(self):
        server = example.start("turns.conf")
        expected = "".join(line + "\n" for line in ("0", "1", "f 1", "2", "f 2", "3", "f 3", "4"))
        for _ in range(5):
            self.assertEqual(server.get("/turns"), expected)
        server.stop()
