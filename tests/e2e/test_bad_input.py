"""Bad input gets a clear error and loses nothing: after each, the daemon answers a good call."""

import json
import socket
import unittest
from urllib.parse import quote

from support import CONFIG, LEGACY, EndToEnd, Refused

PARSE_ERRORS = (-32700, -32600, -32602)


class BadMessages(EndToEnd):
    def setUp(self):
        super().setUp()
        self.gavel = self.start()
        self.mcp = self.client(self.gavel, "work")
        self.mcp.initialize()

    def tearDown(self):
        """Whatever came before: a good call is answered, and the log took no harm."""
        reply = self.mcp.legacy(
            "tools/call", {"name": "box__echo", "arguments": {"text": "still here"}}
        )
        self.assertEqual(reply.text, "still here", reply.body)
        self.assertEqual(self.gavel.api("GET", "/v1/health")["status"], "ok")
        super().tearDown()

    def refused(self, body, statuses=(400,), codes=PARSE_ERRORS):
        headers = {"Mcp-Session-Id": self.mcp.session or "", "MCP-Protocol-Version": LEGACY}
        reply = self.mcp.send(body, headers=headers)
        self.assertIn(reply.status, statuses, reply.body[:500])
        if codes:
            self.assertIsNotNone(reply.error, reply.body[:500])
            self.assertIn(reply.error["code"], codes, reply.body[:500])
            self.assertTrue(reply.error["message"])
        return reply

    def test_text_that_is_no_json(self):
        for body in ("", "{", "nonsense", '{"jsonrpc":"2.0",}', "{'a':1}", "[1,2", "NaN"):
            with self.subTest(body):
                self.refused(body)

    def test_json_that_is_no_message(self):
        for body in (
            "1",
            '"text"',
            "null",
            "true",
            "{}",
            '{"jsonrpc":"1.0","id":1,"method":"ping"}',
            '{"jsonrpc":"2.0","id":{},"method":"ping"}',
            '{"jsonrpc":"2.0","id":1,"method":7}',
        ):
            with self.subTest(body):
                self.refused(body)

    def test_params_of_the_wrong_kind(self):
        for params in ([], 1, "x"):
            with self.subTest(params):
                self.refused(
                    json.dumps(
                        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
                    ),
                    statuses=(200, 400),
                )

    def test_duplicate_keys(self):
        call = (
            '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"box__append",'
            '"arguments":{"text":"good","text":"evil"}}}'
        )
        self.refused(call, statuses=(200, 400))
        self.assertEqual(self.effects(), [])

    def test_invalid_utf8(self):
        reply = self.refused(
            b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"box__echo",'
            b'"arguments":{"text":"\xff\xfe"}}}'
        )
        self.assertIn("byte 96 (0xff) is not UTF-8", reply.error["message"])

    def test_deep_nesting(self):
        for depth in (1_000, 100_000):
            with self.subTest(depth):
                self.refused(
                    '{"jsonrpc":"2.0","id":1,"method":"ping","params":'
                    + "[" * depth
                    + "]" * depth
                    + "}"
                )

    def test_an_oversized_body(self):
        headers = {"Mcp-Session-Id": self.mcp.session or "", "MCP-Protocol-Version": LEGACY}
        try:
            reply = self.mcp.send(
                b'{"jsonrpc":"2.0","pad":"' + b"x" * (80 << 20) + b'"}', headers=headers
            )
        except (BrokenPipeError, ConnectionResetError):
            return  # Refused by its length, before we could send it all.
        self.assertEqual(reply.status, 413)

    def test_a_body_that_announces_too_much_is_refused_at_once(self):
        host, port = self.gavel.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as raw:
            raw.sendall(
                b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:" + port.encode() + b"\r\n"
                b"Authorization: Bearer " + self.gavel.token("agent").encode() + b"\r\n"
                b"Content-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n"
            )
            self.assertIn(b" 413 ", raw.recv(4096).split(b"\r\n")[0])

    def test_http_that_is_no_http(self):
        host, port = self.gavel.url.removeprefix("http://").split(":")
        for data in (
            b"\x16\x03\x01\x02\x00\x01\x00",
            b"GET\r\n\r\n",
            b"POST /mcp HTTP/9.9\r\n\r\n",
            b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        ):
            with self.subTest(data[:10]), socket.create_connection(
                (host, int(port)), timeout=10
            ) as raw:
                raw.settimeout(15)
                try:
                    raw.sendall(data)
                    raw.shutdown(socket.SHUT_WR)
                    while raw.recv(4096):
                        pass
                except OSError:
                    pass

    def test_an_unknown_tool(self):
        reply = self.mcp.legacy("tools/call", {"name": "box__ecko", "arguments": {}})
        text = json.dumps(reply.message)
        self.assertIn("box__ecko", text)
        self.assertIn("box__echo", text, "the nearest name is suggested")

    def test_an_unknown_server(self):
        reply = self.mcp.legacy("tools/call", {"name": "nowhere__echo", "arguments": {}})
        self.assertIn("nowhere", json.dumps(reply.message))

    def test_an_unknown_method(self):
        reply = self.mcp.legacy("tools/destroy")
        self.assertEqual(reply.error["code"], -32601, reply.body)

    def test_wrong_arguments_never_reach_the_tool(self):
        for arguments in ({}, {"text": 7}, {"text": "x", "extra": 1}, {"text": None}):
            with self.subTest(arguments):
                reply = self.mcp.legacy(
                    "tools/call", {"name": "box__append", "arguments": arguments}
                )
                said = json.dumps(reply.message)
                self.assertTrue(reply.error or reply.result["isError"], said)
                self.assertIn("argument", said.lower())
        self.assertEqual(self.effects(), [])

    def test_arguments_that_are_no_object(self):
        for arguments in ([], "x", 1, None):
            with self.subTest(arguments):
                reply = self.mcp.legacy(
                    "tools/call", {"name": "box__append", "arguments": arguments}
                )
                self.assertTrue(reply.error or reply.result["isError"], reply.body)
        self.assertEqual(self.effects(), [])

    def test_a_large_but_legal_text_goes_through_whole(self):
        text = "ß" * 50_000
        reply = self.mcp.legacy("tools/call", {"name": "box__echo", "arguments": {"text": text}})
        self.assertEqual(reply.text, text)

    def test_the_api_refuses_nonsense_with_a_code(self):
        for method, path, body in (
            ("POST", "/v1/sessions/work/intents", {"tool": 7}),
            ("POST", "/v1/sessions/work/intents", {"arguments": {}}),
            ("POST", "/v1/halts", {"scope": "nobody", "mode": "halt"}),
            ("POST", "/v1/halts", {"scope": "everything", "mode": "sleep"}),
            ("POST", "/v1/sessions/work/intents/999/vote", {"verdict": "allow", "digest": "00"}),
            ("GET", "/v1/sessions/work/entries?from=minus", None),
            ("GET", "/v1/nothing", None),
        ):
            role = "agent" if path.endswith("intents") else "operator"
            with self.subTest(path=path, body=body), self.assertRaises(Refused) as caught:
                self.gavel.api(method, path, body, role=role)
            self.assertIn(caught.exception.status, (400, 404, 405), caught.exception)
            self.assertTrue(caught.exception.code)
            self.assertTrue(caught.exception.message)

    def test_a_bad_session_name_is_refused(self):
        for name in ("control/everything", "two\nlines", "nul\0", "\u202egnp", "a" * 1000):
            with self.subTest(name[:20]):
                client = self.client(self.gavel, quote(name, safe=""))
                client.initialize()
                call = {"name": "box__append", "arguments": {"text": "x"}}
                reply = client.legacy("tools/call", call)
                failed = reply.status >= 400 or reply.error or (reply.result or {}).get("isError")
                self.assertTrue(failed, reply.body)
        self.assertEqual(self.effects(), [])


class BadConfig(EndToEnd):
    def check(self, text):
        path = self.directory / "bad.yaml"
        path.write_text(self.config(text))
        program = self.run_program([self.binary, "policy", "check", path])
        return program.code(), program.out() + program.err()

    def test_the_good_one_passes(self):
        code, said = self.check(CONFIG)
        self.assertEqual(code, 0, said)

    def test_a_typo_is_named_with_its_line_and_a_suggestion(self):
        text = CONFIG.replace("timeout: 2s", "timeuot: 2s")
        line = next(
            n for n, each in enumerate(self.config(text).splitlines(), 1) if "timeuot" in each
        )
        code, said = self.check(text)
        self.assertNotEqual(code, 0)
        self.assertIn("timeuot", said)
        self.assertIn("timeout", said.replace("timeuot", ""))
        self.assertIn(str(line), said)

    def test_values_out_of_range_and_of_wrong_kind(self):
        for good, bad in (
            ("effect: read}", "effect: reed}"),
            ("timeout: 2s", "timeout: soon"),
            ("verdict: allow", "verdict: maybe"),
            ("command: [python3", "command: {python3"),
        ):
            with self.subTest(bad):
                code, said = self.check(CONFIG.replace(good, bad, 1))
                self.assertNotEqual(code, 0, said)
                self.assertRegex(said, r"\d+")

    def test_up_refuses_it_too(self):
        path = self.directory / "bad.yaml"
        path.write_text(self.config(CONFIG.replace("verdict: allow", "verdikt: allow")))
        program = self.run_program(
            [
                self.binary,
                "up",
                "--config",
                path,
                "--state",
                self.directory / "state",
                "--listen",
                "127.0.0.1:0",
            ]
        )
        self.assertNotEqual(program.code(), 0)
        self.assertIn("verdikt", program.err())

    def test_a_file_that_is_missing_or_no_yaml(self):
        for text in ("servers: [", "\t- x", "just text", "\x00\x01"):
            with self.subTest(text):
                code, said = self.check(text)
                self.assertNotEqual(code, 0, said)
                self.assertTrue(said.strip())
        program = self.run_program([self.binary, "policy", "check", self.directory / "none.yaml"])
        self.assertNotEqual(program.code(), 0)
        self.assertIn("none.yaml", program.err() + program.out())


if __name__ == "__main__":
    unittest.main()
