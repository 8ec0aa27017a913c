"""Upstream servers that die, hang, flood their output and answer garbage."""

import json
import time
import unittest
from pathlib import Path

from support import CONFIG, EndToEnd, wait_until


class Misbehaving(EndToEnd):
    def setUp(self):
        super().setUp()
        self.gavel = self.start()

    def call(self, tool, arguments=None, wait_ms=20_000, session="work"):
        return self.gavel.propose(
            session, f"box__{tool}", arguments or {}, epoch=1, wait_ms=wait_ms
        )

    def works(self):
        """The next call finds a working server again, perhaps after a restart."""
        answer = {}

        def answered():
            nonlocal answer
            try:
                answer = self.call("echo", {"text": "alive"})
            except Exception as error:
                answer = {"text": str(error)}
            return answer.get("kind") == "result"

        wait_until(answered, "the upstream works again", 30, every=0.2)

    def upstream(self):
        return self.gavel.api("GET", "/v1/upstreams")["upstreams"][0]

    def test_a_read_on_a_dying_server_fails_and_the_server_comes_back(self):
        answer = self.call("die")
        self.assertNotEqual(answer["kind"], "result", answer)
        self.assertTrue(answer["text"])
        self.works()
        self.assertGreaterEqual(self.upstream()["restarts"], 1)

    def test_its_last_words_are_kept(self):
        self.call("die")
        wait_until(
            lambda: "about to die, as asked" in self.upstream()["stderr"], "stderr is shown", 10
        )
        # And still are when the next child runs.
        self.works()
        self.assertIn("about to die, as asked", self.upstream()["stderr"])

    def test_a_write_on_a_dying_server_is_unknown_and_not_repeated(self):
        answer = self.call("append_and_die", {"text": "once"})
        self.assertEqual(answer["kind"], "refused", answer)
        self.assertIn("unknown", answer["text"])
        self.works()
        self.assertEqual(self.effects(), ["once"])
        self.assertEqual(self.gavel.session("work")["unknown"], 1)

    def test_a_hanging_write_is_unknown_after_its_deadline(self):
        started = time.monotonic()
        answer = self.call("append_slowly", {"text": "once", "seconds": 30})
        self.assertLess(time.monotonic() - started, 10)
        self.assertIn("unknown", answer["text"], answer)
        self.assertEqual(self.effects(), ["once"])
        self.works()

    def test_a_hanging_read_fails_after_its_deadline(self):
        answer = self.call("sleep", {"seconds": 30})
        self.assertEqual(answer["kind"], "refused", answer)
        self.assertRegex(answer["text"].lower(), "deadline|time|answer")
        self.works()

    def test_a_flood_ends_the_call_and_not_the_daemon(self):
        before = _resident_mb(self.gavel.process.pid)
        answer = self.call("flood", {"bytes": 1 << 30}, wait_ms=30_000)
        self.assertNotEqual(answer["kind"], "result", str(answer)[:300])
        self.assertLess(_resident_mb(self.gavel.process.pid) - before, 450)
        self.works()

    def test_garbage_is_no_answer(self):
        answer = self.call("garbage")
        self.assertNotEqual(answer["kind"], "result", answer)
        self.assertIn("no MCP message", answer["text"])
        self.assertEqual(answer["code"], "timeout")
        self.works()

    def test_a_read_whose_client_left_is_ended_and_may_be_made_again(self):
        self.gavel.stop()
        self.gavel.config.write_text(self.config(CONFIG.replace("timeout: 2s", "timeout: 20s")))
        self.gavel.start()
        call = {"name": "box__sleep", "arguments": {"seconds": 3}}
        with self.assertRaises(TimeoutError):
            self.client(self.gavel, "work", timeout=1).modern("tools/call", call)
        started = time.monotonic()
        wait_until(
            lambda: "nobody waits any more" in self.upstream()["stderr"], "the server is told", 10
        )
        self.assertLess(time.monotonic() - started, 2)
        wait_until(lambda: self.gavel.of_kind("work", "outcome"), "it is recorded", 10)
        reply = self.client(self.gavel, "work").modern("tools/call", call)
        self.assertEqual(reply.text, "awake", reply.body)
        outcomes = self.gavel.of_kind("work", "outcome")
        self.assertEqual(
            [(each["outcome"], each["code"]) for each in outcomes],
            [("failed", "cancelled"), ("ok", "")],
        )

    def test_a_write_whose_client_left_goes_on(self):
        self.gavel.stop()
        self.gavel.config.write_text(self.config(CONFIG.replace("timeout: 2s", "timeout: 20s")))
        self.gavel.start()
        call = {"name": "box__append_slowly", "arguments": {"text": "once", "seconds": 3}}
        with self.assertRaises(TimeoutError):
            self.client(self.gavel, "work", timeout=1).modern("tools/call", call)
        reply = self.client(self.gavel, "work").modern("tools/call", call)
        self.assertEqual(reply.text, "appended", reply.body)
        self.assertEqual(self.effects(), ["once"])

    def test_answers_to_nobody_are_ignored(self):
        answer = self.call("strangers")
        self.assertEqual(answer["kind"], "result", answer)
        self.assertIn("the real one", json.dumps(answer["result"]))

    def test_an_idempotency_key_and_a_fencing_token_reach_the_tool(self):
        config = CONFIG.replace("meta: {effect: read}", "meta: {effect: write}").replace(
            '"box__append*"', '"box__append*", "box__meta"'
        )
        self.gavel.stop()
        self.gavel.config.write_text(self.config(config))
        self.gavel.start()
        answer = self.gavel.propose("keys", "box__meta", {}, epoch=1, key="payment-17")
        meta = json.loads(answer["result"]["content"][0]["text"])
        self.assertTrue(any("payment-17" in str(value) for value in meta.values()), meta)
        self.assertTrue(any("fencing" in key.lower() for key in meta), meta)


def _resident_mb(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0


class Secrets(EndToEnd):
    """What a server was given in confidence reaches neither agents nor logs."""

    SECRET = 'gh_"0123/456789abcdef'

    def test_a_server_that_says_its_secret_is_not_heard(self):
        secret = self.directory / "token"
        secret.write_text(self.SECRET + "\n")
        given = f'    environment_files: {{API_TOKEN: "{secret}"}}\n    timeout: 2s'
        text = CONFIG.replace("    timeout: 2s", given)
        gavel = self.start(text.replace("fail: {effect: read}", "secret: {effect: read}"))
        mcp = self.client(gavel, "work")
        mcp.initialize()
        for how in ("text", "error", "rpc"):
            with self.subTest(how):
                reply = mcp.legacy("tools/call", {"name": "box__secret", "arguments": {"how": how}})
                self.assertIn(b"[secret]", reply.body)
                self.assertNotIn(b"456789abcdef", reply.body)
        self.assertNotIn("456789abcdef", json.dumps(gavel.entries("work")))
        self.assertIn("[secret]", json.dumps(gavel.entries("work")))


class Missing(EndToEnd):
    def answer(self, command):
        gavel = self.start(CONFIG.replace('[python3, "@HERE@/upstream.py"]', command))
        try:
            answer = gavel.propose("work", "box__append", {"text": "x"}, epoch=1, wait_ms=8000)
            said = json.dumps(answer)
            self.assertNotEqual(answer["kind"], "result", answer)
        except Exception as error:
            said = str(error)
        self.assertEqual(gavel.api("GET", "/v1/health")["status"], "ok")
        return said

    def test_a_program_that_does_not_exist_is_named(self):
        self.assertIn("no-such-program", self.answer("[no-such-program]"))

    def test_a_program_that_ends_at_once(self):
        self.assertTrue(self.answer("[python3, -c, 'import sys; sys.exit(4)']"))

    def test_a_program_that_is_no_mcp_server(self):
        self.assertTrue(self.answer("[python3, -c, 'print(1); input(); input(); input()']"))

    def test_the_other_servers_are_listed_all_the_same(self):
        config = CONFIG.replace("rules:", "  broken:\n    command: [no-such-program]\nrules:")
        gavel = self.start(config)
        client = self.client(gavel)
        client.initialize()
        names = [each["name"] for each in client.legacy("tools/list").result["tools"]]
        self.assertIn("box__echo", names)

    def test_one_that_hangs_does_not_hold_up_the_others(self):
        config = CONFIG.replace("rules:", "  hung:\n    command: [sleep, '1000']\nrules:")
        gavel = self.start(config)
        client = self.client(gavel, session="work")
        started = time.monotonic()
        for number in range(3):
            call = {"name": "box__echo", "arguments": {"text": str(number)}}
            answer = client.modern("tools/call", call)
            self.assertFalse(answer.result.get("isError"), answer.result)
        self.assertLess(time.monotonic() - started, 5)
        names = [each["name"] for each in client.modern("tools/list").result["tools"]]
        self.assertIn("box__echo", names)
        self.assertLess(time.monotonic() - started, 25)


if __name__ == "__main__":
    unittest.main()
