import unittest

import example


class AuthRequest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = example.start("auth_request.conf")

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def ask(self, path, token=None, **options):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.server.request(path, headers=headers, **options)

    def test_without_token(self):
        status, headers, body = self.ask("/private/")
        self.assertEqual((status, body), (401, "please log in\n"))
        self.assertEqual(headers["WWW-Authenticate"], 'Bearer realm="private"')

    def test_unknown_token(self):
        self.assertEqual(self.ask("/private/", "mars")[0], 403)

    def test_known_tokens(self):
        self.assertEqual(self.ask("/private/", "moon")[::2], (200, "hello luna\n"))
        self.assertEqual(self.ask("/private/x", "sun")[::2], (200, "hello sol\n"))

    def test_the_service_sees_the_address(self):
        self.assertEqual(self.ask("/private/moon", "moon")[0], 200)
        self.assertEqual(self.ask("/private/moon", "sun")[0], 403)

    def test_client_cannot_name_its_user(self):
        status, _, body = self.server.request("/private/", headers={"Authorization": "Bearer moon", "X-User": "root"})
        self.assertEqual((status, body), (200, "hello luna\n"))

    def test_body_goes_to_the_application_only(self):
        self.assertEqual(self.ask("/private/", "moon", method="POST", body="x" * 50000)[0], 200)

    def test_internal_location(self):
        self.assertEqual(self.server.request("/auth")[0], 404)
