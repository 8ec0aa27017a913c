"""Gavel's own logins at servers that ask for OAuth tokens: a person's, renewal, more scopes, what is
refused, and that no secret is seen anywhere."""

import json
import os
import stat
import subprocess
import threading
import unittest
import urllib.error
import urllib.request

from oauth_server import OAuthWorld
from support import EndToEnd, Refused, wait_until

CONFIG = """
servers:
  guarded:
    url: "@URL@/mcp"
    oauth: @OAUTH@
    tools:
      echo: {effect: read}
      admin: {effect: read}
      leak: {effect: read}
"""


class OAuth(EndToEnd):
    def setUp(self):
        super().setUp()
        self.world = OAuthWorld()
        self.addCleanup(self.world.close)
        self.calls = 0

    def up(self, **oauth):
        text = CONFIG.replace("@URL@", self.world.mcp_url).replace("@OAUTH@", json.dumps(oauth))
        self.gavel = self.start(text)
        return self.gavel

    def call(self, tool="echo"):
        # A session of its own, so that no earlier answer is given again.
        self.calls += 1
        try:
            return self.gavel.propose(f"work-{self.calls}", f"guarded__{tool}", {}, epoch=1)
        except Refused as refused:
            self.assertEqual(refused.status, 503, refused)  # never 401: the agent's own token is good
            return {"kind": "refused", "text": refused.message}

    def login(self, server="guarded"):
        """`gavel login` with a browser that clicks at once: exit code, its output, what the browser
        saw."""
        child = subprocess.Popen(
            [self.binary, "--state", self.gavel.state, "--json", "login", "--no-browser", server],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = child.stdout.readline()
        seen = None
        if line.startswith('{"url"'):
            try:
                with urllib.request.urlopen(json.loads(line)["url"], timeout=60) as page:
                    seen = page.status
            except urllib.error.HTTPError as error:
                seen = error.code
        out, err = child.communicate(timeout=60)
        return child.returncode, line + out + err, seen

    def must_log_in(self):
        code, said, seen = self.login()
        self.assertEqual((code, seen), (0, 200), said)
        return said

    def status(self):
        return self.gavel.api("GET", "/v1/upstreams")["upstreams"][0]

    def test_a_person_logs_in_once_and_calls_go_through(self):
        self.up()
        refused = self.call()
        self.assertNotEqual(refused["kind"], "result", refused)
        self.assertIn("gavel login guarded", json.dumps(refused))
        self.assertEqual(self.status()["health"], "needs_login")
        self.assertEqual(self.world.asked("/token"), [], "nothing is asked without a person")
        self.must_log_in()
        answer = self.call()
        self.assertIn("echo done", json.dumps(answer))
        status = self.status()
        self.assertEqual((status["health"], status["last_error"]), ("ready", ""))
        asked = self.world.asked("/token")[0]
        self.assertEqual(asked["resource"], f"{self.world.mcp_url}/mcp")
        registered = self.world.asked("/register")[0]
        self.assertEqual(registered["application_type"], "native")

    def listing(self):
        return self.client(self.gavel, "listing").modern("tools/list").result

    def test_a_list_that_waits_for_a_login_is_not_kept(self):
        self.up()
        wait_until(lambda: self.status()["health"] == "needs_login", "the server's refusal", 20)
        before = self.listing()
        self.assertEqual((before["tools"], before["ttlMs"]), ([], 0))
        self.must_log_in()
        after = self.listing()
        self.assertEqual(len(after["tools"]), 3)
        self.assertGreater(after["ttlMs"], 0)

    def test_a_login_outlives_the_daemon_in_a_private_file(self):
        self.up()
        self.must_log_in()
        path = self.gavel.state / "oauth" / "guarded.json"
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(path.parent.stat().st_mode), 0o700)
        self.gavel.kill()
        self.gavel.start()
        self.assertIn("echo done", json.dumps(self.call()))
        self.assertEqual(self.world.grants(), ["authorization_code"])

    def test_a_file_that_others_can_read_is_no_login(self):
        self.up()
        self.must_log_in()
        self.gavel.stop()
        os.chmod(self.gavel.state / "oauth" / "guarded.json", 0o644)
        self.gavel.start()
        self.assertIn("gavel login guarded", json.dumps(self.call()))

    def test_a_token_is_renewed_before_it_expires(self):
        self.world.lifetime = 1
        self.up()
        self.must_log_in()
        wait_until(lambda: self.call() and "refresh_token" in self.world.grants(), "a renewal", 20)
        self.assertIn("echo done", json.dumps(self.call()))

    def test_a_refused_token_is_renewed_once_for_all_who_call(self):
        self.up()
        self.must_log_in()
        self.world.expire()
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(self.call())) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(json.dumps(answers).count("echo done"), 8, answers)
        self.assertEqual(self.world.grants(), ["authorization_code", "refresh_token"])

    def test_a_refresh_token_that_is_refused_needs_a_person_again(self):
        self.up()
        self.must_log_in()
        self.world.expire()
        self.world.refresh.clear()
        refused = json.dumps(self.call())
        self.assertIn("gavel login guarded", refused)
        self.assertEqual(self.status()["health"], "needs_login")
        self.must_log_in()
        self.assertIn("echo done", json.dumps(self.call()))

    def test_more_scopes_take_a_person_and_lose_none(self):
        self.up()
        self.must_log_in()
        refused = json.dumps(self.call("admin"))
        self.assertIn("admin", refused)
        self.assertIn("gavel login guarded", refused)
        self.assertIn("echo done", json.dumps(self.call()), "other calls go on")
        self.must_log_in()
        self.assertIn("admin done", json.dumps(self.call("admin")))
        scopes = [token for token in self.world.access.values()]
        self.assertEqual(scopes[-1], ["basic", "admin"])

    def test_scopes_that_the_policy_does_not_list_are_not_asked_for(self):
        self.up(scopes=["basic"])
        self.must_log_in()
        refused = json.dumps(self.call("admin"))
        self.assertIn("oauth.scopes", refused)
        self.assertNotIn("gavel login", refused)

    def test_gavel_logs_in_alone_where_it_has_credentials(self):
        secret = self.directory / "secret"
        secret.write_text("very-secret-words\n")
        secret.chmod(0o600)
        self.world.secrets.add("very-secret-words")
        self.up(grant="client_credentials", client_id="machine", client_secret_file=str(secret))
        self.assertIn("echo done", json.dumps(self.call()))
        self.assertIn("admin done", json.dumps(self.call("admin")), "with more scopes, by itself")
        self.assertEqual(set(self.world.grants()), {"client_credentials"})
        self.assertFalse((self.gavel.state / "oauth").exists())
        code, said, _ = self.login()
        self.assertNotEqual(code, 0)
        self.assertIn("client_credentials", said)

    def test_what_is_for_somebody_else_is_refused(self):
        self.up()
        for attribute, value, wanted in (
            ("resource", "https://elsewhere.example/mcp", "elsewhere.example"),
            ("issuer", "https://elsewhere.example", "elsewhere.example"),
            ("challenge_methods", ["plain"], "S256"),
        ):
            with self.subTest(attribute):
                before = getattr(self.world, attribute)
                setattr(self.world, attribute, value)
                code, said, seen = self.login()
                setattr(self.world, attribute, before)
                self.assertNotEqual(code, 0)
                self.assertIsNone(seen, "no browser is opened")
                self.assertIn(wanted, said)
        self.assertEqual(self.world.asked("/register"), [])
        self.assertEqual(self.world.asked("/token"), [])

    def test_an_answer_of_somebody_else_does_not_end_a_login(self):
        self.up()
        path = "/v1/upstreams/guarded/login"
        begun = self.gavel.api("POST", path, {"redirect_uri": "http://127.0.0.1:9/callback"})
        self.assertIn("code_challenge_method=S256", begun["url"])
        for query in ("code=a&state=wrong", "code=a", "code=%", "", "code=a&code=b&state=x"):
            with self.assertRaises(Exception):
                self.gavel.api("POST", f"{path}/answer", {"query": query})
        self.assertEqual(self.world.asked("/token"), [])
        with self.assertRaises(Exception) as refused:
            self.gavel.api("POST", path, {"redirect_uri": "https://evil.example/callback"})
        self.assertIn("on this machine", str(refused.exception))

    def test_an_agent_can_neither_log_in_nor_out(self):
        self.up()
        for path, body in (("login", {"redirect_uri": "http://127.0.0.1:9/callback"}),
                           ("login/answer", {"query": "code=a&state=b"}), ("logout", {})):
            with self.assertRaises(Exception) as refused:
                self.gavel.api("POST", f"/v1/upstreams/guarded/{path}", body, role="agent")
            self.assertIn("403", str(refused.exception))

    def test_logging_out_forgets_the_tokens(self):
        self.up()
        self.must_log_in()
        self.gavel.ask("logout", "guarded")
        self.assertFalse((self.gavel.state / "oauth" / "guarded.json").exists())
        self.assertIn("gavel login guarded", json.dumps(self.call()))

    def test_no_secret_is_seen_anywhere(self):
        self.up()
        answers = [self.call()]
        said = self.must_log_in()
        answers += [self.call("leak"), self.call("admin")]
        self.world.expire()
        answers += [self.call("leak")]
        self.world.expire()
        self.world.refresh.clear()
        answers += [self.call("leak"), self.status()]
        self.assertIn("[secret]", json.dumps(answers))
        # Everything that was said, and every file but the one that holds the tokens.
        self.gavel.stop()
        seen = {"answers": json.dumps(answers).encode(), "command": said.encode()}
        for path in self.directory.rglob("*"):
            if path.is_file() and path.parent.name not in ("oauth", "tokens"):
                seen[str(path)] = path.read_bytes()
        self.assertGreater(len(self.world.secrets), 4)
        for secret in self.world.secrets:
            for where, content in seen.items():
                self.assertNotIn(secret.encode(), content, f"{secret} in {where}")


if __name__ == "__main__":
    unittest.main()
