"""Tokens that are almost right, and what a token names: keys, epochs, sessions, tickets."""

import os
import time
import unittest

from world import MODERN, Hostile, statuses


class Tokens(Hostile):
    def test_almost_a_token(self):
        good = self.token("agent")
        for bad in (good[:-1], good + "0", good.upper(), good.capitalize(), good[1:], f" {good}x",
                    good.replace("gavel_", ""), "gavel_", "gavel_" + "0" * 64, "*", "null",
                    good[:40] + "%00" + good[40:], f"{good} {good}", f"{good},{good}"):
            with self.subTest(bad):
                request = self.head(f"Authorization: Bearer {bad}", "Connection: close", role=None,
                                    target="GET /v1/health")
                self.assertEqual(statuses(self.raw(request)), [401])

    def test_other_schemes(self):
        good = self.token("agent")
        for value in (good, f"Basic {good}", f"Bearer\t{good}", f"Bearer:{good}", "Bearer",
                      "Bearer ", f"Token {good}", f"Bearer {good}\x00", f"Bearer {good}\x7f"):
            with self.subTest(value):
                request = self.head(f"Authorization: {value}", "Connection: close", role=None,
                                    target="GET /v1/health")
                self.assertIn(statuses(self.raw(request)), ([401], [400]))

    def test_a_token_in_other_places(self):
        good = self.token("operator")
        for target in (f"GET /v1/health?token={good}", f"GET /v1/health?access_token={good}"):
            answer = self.raw(self.head("Connection: close", role=None, target=target))
            self.assertEqual(statuses(answer), [401])
        answer = self.raw(self.head(f"Cookie: token={good}", f"X-Authorization: Bearer {good}",
                                    f"Proxy-Authorization: Bearer {good}", "Connection: close",
                                    role=None, target="GET /v1/health"))
        self.assertEqual(statuses(answer), [401])
        self.assertNotIn(good.encode(), answer)

    def test_a_principal_that_was_removed(self):
        self.add_token("leaver", "leaver", ["driver"])
        self.gavel.propose("leaving", "box__echo", {"text": "hi"}, role="leaver")
        client = self.client("leaving", "leaver")
        client.initialize()
        path = self.gavel.state / "tokens" / "leaver.json"
        token = self.token("leaver")
        path.unlink()
        # Read again within seconds.
        deadline = time.monotonic() + 8
        while client.send({"jsonrpc": "2.0", "id": 1, "method": "ping"}, token=token).status != 401:
            self.assertLess(time.monotonic(), deadline, "a removed token is still good")
            time.sleep(0.2)

    def test_files_that_are_no_tokens(self):
        tokens = self.gavel.state / "tokens"
        secret = f"gavel_{os.urandom(24).hex()}"
        text = f'{{"principal":"x","roles":["admin"],"token":"{secret}"}}'
        (tokens / "open.json").write_text(text)
        (tokens / "open.json").chmod(0o644)
        (self.directory / "elsewhere").write_text(text)
        (self.directory / "elsewhere").chmod(0o600)
        (tokens / "link.json").symlink_to(self.directory / "elsewhere")
        (tokens / "twice.json").touch(mode=0o600)
        (tokens / "twice.json").write_text(text.replace('"roles"', '"roles":["driver"],"roles"'))
        time.sleep(1.2)
        answer = self.raw(self.head(f"Authorization: Bearer {secret}", "Connection: close",
                                    role=None, target="GET /v1/health"))
        self.assertEqual(statuses(answer), [401])
        for name in ("open", "link", "twice"):
            (tokens / f"{name}.json").unlink()


class Names(Hostile):
    def test_a_key_with_other_arguments(self):
        def call(text, **more):
            return {"tool": "box__append", "arguments": {"text": text}, "key": "k1", "wait_ms": 0,
                    **more}

        path = "/v1/sessions/keys/intents"
        first = self.gavel.api("POST", path, call("one"), "agent")
        self.refused("POST", path, call("two"), statuses=(409, 422))
        self.refused("POST", path, {**call("one"), "tool": "box__echo"}, statuses=(409, 422))
        again = self.gavel.api("POST", path, call("one"), "agent")
        self.assertEqual(again["intent"], first["intent"])
        for key in (1, None, ["k1"], {"a": 1}, True):
            with self.subTest(key=key):
                self.refused("POST", path, call("one", key=key), statuses=(400,))

    def test_epochs_that_were_never_elected(self):
        self.gavel.propose("epochs", "box__echo", {"text": "first"}, wait_ms=0)
        for epoch in (2, 2**32, 2**63, 2**64 - 1, 2**64, 0, -1, 1.5, "1", None, [1], True):
            with self.subTest(epoch=epoch):
                self.refused("POST", "/v1/sessions/epochs/intents",
                             {"tool": "box__append", "arguments": {"text": "x"}, "epoch": epoch})
        for epoch in ("2", "0", "-1", "+1", "1.0", "", "18446744073709551616", "1,1", "0x1"):
            with self.subTest(header=epoch):
                reply = self.client("epochs").modern(
                    "tools/call", {"name": "box__append", "arguments": {"text": "x"}},
                    headers={"Gavel-Epoch": epoch})
                self.assertIsNotNone(reply.error, reply.body)
        self.assertEqual(self.gavel.pending("epochs"), [])

    def test_a_zombie(self):
        self.gavel.propose("zombie", "box__echo", {"text": "first"}, wait_ms=0)
        epoch = self.gavel.api("POST", "/v1/sessions/zombie/wake", {}, "agent")["epoch"]
        self.refused("POST", "/v1/sessions/zombie/intents",
                     {"tool": "box__append", "arguments": {"text": "honest 0"},
                      "epoch": epoch - 1}, statuses=(409,))
        self.assertEqual(len(self.gavel.of_kind("zombie", "refused")), 1)

    def test_the_session_in_two_places(self):
        client = self.client("here")
        reply = client.modern("tools/list", headers={"Gavel-Session": "there"})
        self.assertEqual(reply.status, 400, reply.body)
        self.assertEqual(client.modern("tools/list", headers={"Gavel-Session": "here"}).status, 200)

    def test_names_that_lead_elsewhere(self):
        for name in ("control/everything", "control/agent/agent", "control%2Feverything", "",
                     "a b", "a\tb", "caf\u00e9", "x" * 241, "x" * 257, "a%00b", "a%0d%0ab", "%2e%2e%5c",
                     "control/../control/everything%00"):
            with self.subTest(name):
                quoted = name.encode().hex()
                path = "".join(f"%{quoted[i:i + 2]}" for i in range(0, len(quoted), 2))
                self.refused("POST", f"/v1/sessions/{path}/intents",
                             {"tool": "box__append", "arguments": {"text": "honest 0"}})
        for path in ("/v1/sessions/../halts", "/v1//halts", "/v1/sessions/a/../../halts",
                     "/V1/halts", "/v1/halts/", "/v1/sessions/%zz", "/v1/sessions/%c0%af",
                     "/v1/sessions/%ff", "//v1/halts", "/v1/halts%00", "/v1/%68alts"):
            with self.subTest(path):
                self.refused("GET", path, role="operator", statuses=(400, 404))

    def test_tools_that_look_like_others(self):
        for tool in ("box__\u0435cho", "box__echo\u200b", "BOX__echo", "box__Echo", "box_echo",
                     "box__echo ", " box__echo", "box__echo\x00", "box__\uff45cho", "echo",
                     "box__", "__echo", "box__box__echo", "own__shell", "box__echo/../append",
                     "box__e\u0301cho", "x" * 10_000):
            with self.subTest(tool):
                self.refused("POST", "/v1/sessions/looks/intents",
                             {"tool": tool, "arguments": {"text": "x"}, "wait_ms": 0})
        reply = self.client("looks").modern(
            "tools/call", {"name": "box__\u0435cho", "arguments": {"text": "x"}},
            headers={"Mcp-Name": "=?base64?Ym94X1/QtWNobw==?="})
        self.assertTrue(reply.error or reply.result.get("isError"), reply.body)

    def test_sessions_of_mcp(self):
        mine = self.client("mine")
        mine.initialize()
        thief = self.client("mine", "second-agent")
        thief.session, thief.version = mine.session, mine.version
        self.assertEqual(thief.legacy("tools/list").status, 404)
        for forged in (mine.session[:-1], mine.session + "0", mine.session.upper() + "x", "0", "*",
                       "../" + mine.session, "x" * 8000):
            with self.subTest(forged[:40]):
                mine_again = self.client("mine")
                mine_again.session, mine_again.version = forged, mine.version
                self.assertEqual(mine_again.legacy("tools/list").status, 404)
        removed = thief.send(None, method="DELETE", headers={"Mcp-Session-Id": mine.session})
        self.assertEqual(removed.status, 404)
        self.assertEqual(mine.legacy("tools/list").status, 200, "the owner's goes on")

    def test_tickets_that_nobody_gave(self):
        for state in ("gavel1.00.00", "gavel1.", "gavel1." + "0" * 32 + "." + "0" * 64,
                      "gavel1.x.y\n", "gavel1.\u0000.", ""):
            with self.subTest(state):
                reply = self.client("tickets").modern(
                    "tools/call", {"name": "box__append", "arguments": {"text": "ticket"},
                                   "requestState": state, "inputResponses": {}})
                failed = reply.error or reply.result.get("isError") or \
                    reply.result.get("resultType") == "input_required"
                self.assertTrue(failed, (MODERN, reply.body))


if __name__ == "__main__":
    unittest.main()
