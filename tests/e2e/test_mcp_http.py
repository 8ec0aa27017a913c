"""The MCP endpoint over HTTP, as raw messages: both eras, authorization, progress."""

import json
import unittest

from support import LEGACY, MODERN, Client, EndToEnd, wait_until


class Legacy(EndToEnd):
    def setUp(self):
        super().setUp()
        self.gavel = self.start()

    def test_handshake_of_every_older_revision(self):
        for version in (LEGACY, "2025-06-18", "2025-03-26", "2024-11-05"):
            with self.subTest(version):
                reply = self.client(self.gavel).initialize(version)
                self.assertEqual(reply.status, 200, reply.body)
                self.assertEqual(reply.result["protocolVersion"], version)
                self.assertIn("tools", reply.result["capabilities"])

    def test_an_unheard_of_revision_is_answered_with_a_known_one(self):
        reply = self.client(self.gavel).initialize("1999-01-01")
        self.assertEqual(reply.status, 200, reply.body)
        self.assertIn(reply.result["protocolVersion"], (LEGACY, "2025-06-18"))

    def test_tools_are_prefixed_and_keep_their_schema(self):
        client = self.client(self.gavel)
        client.initialize()
        tools = {each["name"]: each for each in client.legacy("tools/list").result["tools"]}
        self.assertIn("box__echo", tools)
        self.assertEqual(tools["box__echo"]["inputSchema"]["required"], ["text"])
        self.assertIn("outputSchema", tools["box__count"])

    def test_a_call_reaches_the_upstream_and_comes_back(self):
        client = self.client(self.gavel)
        client.initialize()
        reply = client.legacy(
            "tools/call", {"name": "box__echo", "arguments": {"text": "grüß dich"}}
        )
        self.assertEqual(reply.text, "grüß dich", reply.body)

    def test_structured_content_comes_through(self):
        client = self.client(self.gavel)
        client.initialize()
        reply = client.legacy("tools/call", {"name": "box__count", "arguments": {}})
        self.assertEqual(reply.result["structuredContent"], {"n": 3})

    def test_structured_content_that_breaks_its_schema_is_stopped(self):
        client = self.client(self.gavel)
        client.initialize()
        reply = client.legacy("tools/call", {"name": "box__count", "arguments": {"lie": True}})
        self.assertTrue(reply.result["isError"], reply.body)
        self.assertNotIn("structuredContent", reply.result)

    def test_progress_is_passed_on(self):
        client = self.client(self.gavel)
        client.initialize()
        reply = client.legacy(
            "tools/call",
            {"name": "box__progress", "arguments": {}, "_meta": {"progressToken": "p1"}},
        )
        progress = [
            m["params"] for m in reply.messages if m.get("method") == "notifications/progress"
        ]
        self.assertEqual(reply.text, "done", reply.body)
        self.assertEqual({p["progressToken"] for p in progress}, {"p1"}, reply.body)

    def test_a_notification_is_accepted_without_a_body(self):
        client = self.client(self.gavel)
        client.initialize()
        reply = client.send(
            {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 99}},
            headers={"Mcp-Session-Id": client.session or "", "MCP-Protocol-Version": LEGACY},
        )
        self.assertEqual((reply.status, reply.body), (202, b""))

    def test_ping_is_answered(self):
        client = self.client(self.gavel)
        client.initialize()
        self.assertEqual(client.legacy("ping").result, {})

    def test_an_unknown_session_is_gone(self):
        client = self.client(self.gavel)
        client.initialize()
        client.session = "no-such-session"
        self.assertEqual(client.legacy("tools/list").status, 404)

    def test_one_server_alone_shows_its_own_names(self):
        client = self.client(self.gavel, query="?server=box")
        client.initialize()
        names = [each["name"] for each in client.legacy("tools/list").result["tools"]]
        self.assertIn("echo", names)
        reply = client.legacy("tools/call", {"name": "echo", "arguments": {"text": "x"}})
        self.assertEqual(reply.text, "x", reply.body)

    def test_resources_and_prompts_pass_through(self):
        client = self.client(self.gavel)
        client.initialize()
        resources = client.legacy("resources/list").result["resources"]
        self.assertEqual([each["name"] for each in resources], ["greeting"], resources)
        read = client.legacy("resources/read", {"uri": resources[0]["uri"]})
        self.assertEqual(read.result["contents"][0]["text"], "hello", read.body)
        prompts = client.legacy("prompts/list").result["prompts"]
        self.assertEqual(len(prompts), 1)
        got = client.legacy(
            "prompts/get", {"name": prompts[0]["name"], "arguments": {"who": "Ada"}}
        )
        self.assertEqual(got.result["messages"][0]["content"]["text"], "greet Ada", got.body)

    def test_a_tool_that_fails_says_so_in_its_own_words(self):
        client = self.client(self.gavel)
        client.initialize()
        reply = client.legacy("tools/call", {"name": "box__fail", "arguments": {}})
        self.assertTrue(reply.result["isError"])
        self.assertIn("it did not work", reply.text)


class Modern(EndToEnd):
    def setUp(self):
        super().setUp()
        self.gavel = self.start()
        self.mcp = self.client(self.gavel)

    def test_discover_names_the_revision(self):
        reply = self.mcp.modern("server/discover")
        self.assertEqual(reply.status, 200, reply.body)
        self.assertIn(MODERN, reply.result["supportedVersions"])
        self.assertEqual(reply.result["resultType"], "complete")
        self.assertIn("tools", reply.result["capabilities"])

    def test_lists_may_be_cached_and_say_for_how_long(self):
        reply = self.mcp.modern("tools/list")
        self.assertGreaterEqual(reply.result["ttlMs"], 0)
        self.assertIn(reply.result["cacheScope"], ("public", "private"))
        self.assertIn("box__echo", [each["name"] for each in reply.result["tools"]])

    def test_the_list_is_in_a_stable_order(self):
        first = self.mcp.modern("tools/list").result["tools"]
        again = self.client(self.gavel).modern("tools/list").result["tools"]
        self.assertEqual(first, again)

    def test_a_call_is_complete(self):
        reply = self.mcp.modern("tools/call", {"name": "box__echo", "arguments": {"text": "hi"}})
        self.assertEqual(reply.text, "hi", reply.body)
        self.assertEqual(reply.result["resultType"], "complete")

    def test_a_revision_that_nobody_speaks_is_refused_with_those_that_are(self):
        reply = self.mcp.modern(
            "tools/list",
            headers={"MCP-Protocol-Version": "2099-01-01"},
            meta={"io.modelcontextprotocol/protocolVersion": "2099-01-01"},
        )
        self.assertEqual(reply.status, 400, reply.body)
        self.assertEqual(reply.error["code"], -32022)
        self.assertIn(MODERN, reply.error["data"]["supported"])
        self.assertEqual(reply.error["data"]["requested"], "2099-01-01")

    def test_an_unknown_method_is_404(self):
        reply = self.mcp.modern("tools/destroy")
        self.assertEqual((reply.status, reply.error["code"]), (404, -32601), reply.body)

    def test_missing_request_metadata_is_an_error(self):
        reply = self.mcp.send(
            {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "tools/list",
                "params": {"_meta": {"io.modelcontextprotocol/protocolVersion": MODERN}},
            },
            headers={"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/list"},
        )
        self.assertEqual((reply.status, reply.error["code"]), (400, -32602), reply.body)

    def test_headers_must_say_what_the_body_says(self):
        call = {"name": "box__append", "arguments": {"text": "smuggled"}}
        for headers in (
            {"Mcp-Name": "box__echo"},
            {"Mcp-Method": "tools/list"},
            {"MCP-Protocol-Version": LEGACY},
            {"Mcp-Name": None},
            {"Mcp-Method": None},
        ):
            with self.subTest(headers):
                reply = self.mcp.modern("tools/call", call, headers=headers)
                self.assertEqual(reply.status, 400, reply.body)
                self.assertEqual(reply.error["code"], -32020)
        self.assertEqual(self.effects(), [])


class Access(EndToEnd):
    def setUp(self):
        super().setUp()
        self.gavel = self.start()
        self.mcp = self.client(self.gavel)

    def test_without_a_token_nothing_is_answered(self):
        bare = Client(f"{self.gavel.url}/mcp", "")
        reply = bare.modern("tools/list")
        self.assertEqual(reply.status, 401)
        self.assertIn("www-authenticate", reply.headers)

    def test_a_wrong_token_is_refused(self):
        reply = Client(f"{self.gavel.url}/mcp", "wrong").modern("tools/list")
        self.assertEqual(reply.status, 401)

    def test_a_page_of_the_web_cannot_call(self):
        reply = self.mcp.modern("tools/list", headers={"Origin": "https://evil.example"})
        self.assertEqual(reply.status, 403)

    def test_a_rebound_host_name_cannot_call(self):
        reply = self.mcp.modern("tools/list", headers={"Host": "evil.example"})
        self.assertIn(reply.status, (400, 403, 421))

    def test_a_local_origin_may(self):
        port = self.gavel.url.rsplit(":", 1)[1]
        reply = self.mcp.modern("tools/list", headers={"Origin": f"http://127.0.0.1:{port}"})
        self.assertEqual(reply.status, 200, reply.body)

    def test_token_files_are_private(self):
        for role in ("agent", "operator"):
            path = self.gavel.state / "tokens" / f"{role}.json"
            self.assertEqual(path.stat().st_mode & 0o777, 0o600)

    def test_the_daemon_listens_on_loopback_alone(self):
        self.assertTrue(self.gavel.url.startswith("http://127.0.0.1:"), self.gavel.url)


class Sessions(EndToEnd):
    def setUp(self):
        super().setUp()
        self.gavel = self.start()

    def call(self, client, text):
        client.initialize()
        return client.legacy("tools/call", {"name": "box__append", "arguments": {"text": text}})

    def test_a_named_session_has_the_calls_in_its_log(self):
        self.call(self.client(self.gavel, "work"), "one")
        kinds = [entry["kind"] for entry in self.gavel.entries("work")]
        for kind in ("session_opened", "intent", "decision", "attempt", "outcome"):
            self.assertIn(kind, kinds)
        self.assertEqual(self.effects(), ["one"])

    def test_intent_and_commit_stand_before_the_attempt(self):
        self.call(self.client(self.gavel, "work"), "one")
        entries = self.gavel.entries("work")
        at = {entry["kind"]: entry["position"] for entry in entries}
        self.assertLess(at["intent"], at["decision"])
        self.assertLess(at["decision"], at["attempt"])
        self.assertLess(at["attempt"], at["outcome"])

    def test_a_driver_of_an_older_epoch_is_refused_and_recorded(self):
        first = self.client(self.gavel, "work", epoch=1)
        self.call(first, "one")
        woken = self.gavel.api("POST", "/v1/sessions/work/wake", {"reason": "test"})
        self.assertEqual(woken["epoch"], 2)
        reply = first.legacy("tools/call", {"name": "box__append", "arguments": {"text": "two"}})
        self.assertIn("epoch", json.dumps(reply.message))
        self.assertEqual(self.effects(), ["one"])
        refused = wait_until(lambda: self.gavel.of_kind("work", "refused"), "it is recorded", 5)
        self.assertEqual([entry["code"] for entry in refused], ["stale_epoch"])

    def test_a_new_driver_is_given_what_was_done(self):
        self.call(self.client(self.gavel, "work", epoch=1), "one")
        self.gavel.api("POST", "/v1/sessions/work/wake", {"reason": "test"})
        again = self.client(self.gavel, "work", epoch=2)
        reply = self.call(again, "one")
        self.assertEqual(reply.text, "appended", reply.body)
        self.assertEqual(self.effects(), ["one"])
        replays = wait_until(lambda: self.gavel.of_kind("work", "replayed"), "it is recorded", 5)
        self.assertEqual(len(replays), 1)

    def test_a_new_driver_that_numbers_its_calls_is_given_what_was_done(self):
        """As Claude Code and Codex do, each in its own words."""
        def number(client, call):
            return client.legacy("tools/call", {
                "name": "box__append", "arguments": {"text": "one"},
                "_meta": {"claudecode/toolUseId": call} if call[0] == "t" else {"callId": call},
            })

        for epoch, prefix in enumerate(("toolu", "call", "toolu2"), 1):
            if epoch > 1:
                self.gavel.api("POST", "/v1/sessions/work/wake", {"reason": "test"})
            client = self.client(self.gavel, "work", epoch=epoch)
            client.initialize()
            for count in (1, 2, 2):
                reply = number(client, f"{prefix}{count}")
                self.assertEqual(reply.text, "appended", reply.body)
            self.assertEqual(self.effects(), ["one", "one"], f"epoch {epoch}")
        number(client, "toolu23")
        self.assertEqual(self.effects(), ["one"] * 3, "further than anyone got")

    def test_the_same_call_twice_on_purpose_acts_twice(self):
        client = self.client(self.gavel, "work", epoch=1)
        self.call(client, "one")
        client.legacy("tools/call", {"name": "box__append", "arguments": {"text": "one"}})
        self.assertEqual(self.effects(), ["one", "one"])


if __name__ == "__main__":
    unittest.main()
