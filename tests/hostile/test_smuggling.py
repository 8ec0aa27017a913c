"""HTTP that two readers would read differently: it is refused, the connection ends, and what was
hidden in it is never a request of its own."""

import unittest

from world import LEGACY, MODERN, Hostile, statuses

HIDDEN_BODY = '{"tool":"box__append","arguments":{"text":"honest 0"},"wait_ms":1000}'


class Smuggling(Hostile):
    def refused_at_once(self, request, allowed=(400,)):
        """One answer, of these, and then the end: what follows on the wire is not read."""
        hidden = self.head(f"Content-Length: {len(HIDDEN_BODY)}",
                           target="POST /v1/sessions/smuggled/intents") + HIDDEN_BODY.encode()
        answer = self.raw(request + hidden)
        self.assertEqual(len(statuses(answer)), 1, answer)
        self.assertIn(statuses(answer)[0], allowed, answer)
        known = [s["session"] for s in self.gavel.api("GET", "/v1/sessions")["sessions"]]
        self.assertNotIn("smuggled", known)

    def test_two_lengths(self):
        for lines in (
            ("Content-Length: 4", "Transfer-Encoding: chunked"),
            ("Transfer-Encoding: chunked", "Content-Length: 4"),
            ("Content-Length: 4", "Content-Length: 5"),
            ("Content-Length: 4", "Content-Length: 4"),
            ("Content-Length: 4, 4",),
            ("Content-Length: 4, 5",),
            ("Content-Length: +4",),
            ("Content-Length: -1",),
            ("Content-Length: 0x4",),
            ("Content-Length: 4 4",),
            ("Content-Length: ",),
            ("Content-Length: 99999999999999999999999",),
            ("content-length: 4", "CONTENT-LENGTH: 6"),
        ):
            with self.subTest(lines):
                self.refused_at_once(self.head(*lines) + b"0\r\n\r\n", allowed=(400, 413))
                self.refused_at_once(self.head(*lines) + b"{}  ", allowed=(400, 413))

    def test_encodings_that_are_not_chunked(self):
        for lines in (
            ("Transfer-Encoding: xchunked",),
            ("Transfer-Encoding: identity",),
            ("Transfer-Encoding: gzip, chunked",),
            ("Transfer-Encoding: chunked, identity",),
            ("Transfer-Encoding: chunked, chunked",),
            ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
            ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
            ("Transfer-Encoding: \x0bchunked",),
            ("Transfer-Encoding: \"chunked\"",),
            ("Transfer-Encoding : chunked",),
            ("Transfer-Encoding:\r\n chunked", "Content-Length: 4"),
        ):
            with self.subTest(lines):
                self.refused_at_once(self.head(*lines) + b"0\r\n\r\n")
                self.refused_at_once(self.head(*lines))
        with self.subTest("HTTP/1.0"):
            self.refused_at_once(
                self.head("Transfer-Encoding: chunked", version="HTTP/1.0") + b"0\r\n\r\n")

    def test_chunks_that_are_none(self):
        for body in (b"-1\r\n", b"0x1\r\na\r\n", b"ffffffffffffffffff\r\n", b"1\na\n0\n\n",
                     b"g\r\n", b"1 \r\nab\r\n0\r\n\r\n", b"\r\n"):
            with self.subTest(body):
                self.refused_at_once(self.head("Transfer-Encoding: chunked") + body,
                                     allowed=(400, 413))

    def test_heads_that_are_none(self):
        host = self.gavel.url.removeprefix("http://")
        for head in (
            f"GET /v1/health HTTP/1.1\nHost: {host}\n\n",
            f"GET  /v1/health HTTP/1.1\r\nHost: {host}\r\n\r\n",
            f"GET /v1/health HTTP/1.1 \r\nHost: {host}\r\n\r\n",
            f"GET /v1/he alth HTTP/1.1\r\nHost: {host}\r\n\r\n",
            f"GET /v1/health HTTP/1.1\r\nHost : {host}\r\n\r\n",
            f"GET /v1/health HTTP/1.1\r\n Host: {host}\r\n\r\n",
            f"GET /v1/health HTTP/1.1\r\nHost: {host}\r\nA\x00: b\r\n\r\n",
            f"GET /v1/health HTTP/1.1\r\nHost: {host}\r\nA: b\x00c\r\n\r\n",
            f"GET /v1/health HTTP/1.1\r\nHost: {host}\r\n: b\r\n\r\n",
            f"GET /v1/health HTTP/1.1\r\nHost: {host}\r\nA: b\rB: c\r\n\r\n",
            f"G\x00T /v1/health HTTP/1.1\r\nHost: {host}\r\n\r\n",
            f"GET /v1/health HTTP/3.0\r\nHost: {host}\r\n\r\n",
            f"GET /v1/health\r\nHost: {host}\r\n\r\n",
        ):
            with self.subTest(head):
                self.refused_at_once(head.encode("latin-1"))

    def test_headers_that_stand_twice(self):
        body = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
        length = f"Content-Length: {len(body)}"
        for lines in (
            (f"Authorization: Bearer {self.token('operator')}",),
            ("authorization: Bearer x",),
            ("Gavel-Session: a", "Gavel-Session: b"),
            ("Gavel-Session: a", "gavel-session: a"),
            ("Gavel-Epoch: 1", "Gavel-Epoch: 2"),
            ("Idempotency-Key: a", "Idempotency-Key: b"),
            ("Mcp-Session-Id: a", "Mcp-Session-Id: b"),
            ("Content-Type: application/json", "Content-Type: text/plain"),
            ("Origin: http://localhost", "Origin: http://evil.example"),
            (f"MCP-Protocol-Version: {LEGACY}", f"MCP-Protocol-Version: {MODERN}"),
            ("Mcp-Method: ping", "Mcp-Method: ping"),
        ):
            with self.subTest(lines):
                answer = self.raw(self.head(length, "Connection: close", *lines) + body)
                self.assertEqual(statuses(answer), [400], answer)
        answer = self.raw(self.head(length, "Connection: close", "Host: localhost") + body)
        self.assertEqual(statuses(answer), [403], answer)

    def test_hosts_and_origins(self):
        for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example",
                     "127.0.0.1:1@evil.example", "evil.example:7420", "", "[::1", "[::2]",
                     "0.0.0.0", "localhost:7420:x", "127.evil", "localhost\t.evil", "2130706433"):
            with self.subTest(host=host):
                answer = self.raw(self.head(f"Host: {host}", "Connection: close", host=False,
                                            target="GET /v1/health"))
                self.assertIn(statuses(answer), ([403], [400]), answer)
        answer = self.raw(self.head("Connection: close", host=False, target="GET /v1/health"))
        self.assertEqual(statuses(answer), [403])
        for origin in ("null", "http://evil.example", "https://localhost.evil.example", "file://",
                       "http://localhost@evil.example", "http://", "localhost", "",
                       "http://127.0.0.1.evil.example", "javascript:localhost",
                       "chrome-extension://localhost"):
            with self.subTest(origin=origin):
                answer = self.raw(self.head(f"Origin: {origin}", "Connection: close",
                                            target="GET /v1/health"))
                self.assertEqual(statuses(answer), [403], answer)

    def test_targets_of_a_proxy(self):
        for target in ("GET http://evil.example/v1/health", "CONNECT evil.example:443",
                       "GET //evil.example/v1/health", "OPTIONS *", "TRACE /v1/health",
                       "PUT /v1/health", "GET v1/health"):
            with self.subTest(target):
                answer = self.raw(self.head("Connection: close", target=target))
                self.assertIn(statuses(answer), ([400], [404], [405]), answer)

    def test_methods_by_another_name(self):
        answer = self.raw(self.head("X-HTTP-Method-Override: POST", "X-Original-URL: /v1/resume",
                                    "X-Rewrite-URL: /v1/resume", "Connection: close",
                                    "X-Forwarded-For: 127.0.0.1", "X-Forwarded-User: operator",
                                    target="GET /v1/pending"))
        self.assertEqual(statuses(answer), [403], "an agent stays an agent")


class Mirrors(Hostile):
    """The headers of the new era that say what the body says."""

    def test_what_does_not_mirror_the_body(self):
        call = {"name": "box__append", "arguments": {"text": "mirror"}}
        client = self.client("mirrors")
        for headers in (
            {"Mcp-Name": "box__echo"},
            {"Mcp-Name": "BOX__APPEND"},
            {"Mcp-Name": "box__append "[:-1] + "\u00a0"},
            {"Mcp-Name": "=?base64?Ym94X19lY2hv?="},
            {"Mcp-Name": "=?base64?!!!?="},
            {"Mcp-Name": "=?base64??="},
            {"Mcp-Name": None},
            {"Mcp-Method": "tools/list"},
            {"Mcp-Method": "Tools/Call"},
            {"Mcp-Method": None},
            {"MCP-Protocol-Version": LEGACY},
            {"MCP-Protocol-Version": "2099-01-01"},
            {"MCP-Protocol-Version": None},
        ):
            with self.subTest(headers):
                reply = client.modern("tools/call", call, headers=headers)
                self.assertEqual(reply.status, 400, reply.body)
        self.assertEqual(self.gavel.pending("mirrors"), [])

    def test_an_old_message_with_new_headers_that_lie(self):
        client = self.client("mirrors-of-old")
        client.initialize()
        call = {"name": "box__append", "arguments": {"text": "mirror"}}
        for headers in ({"Mcp-Method": "tools/list"}, {"Mcp-Name": "box__echo"},
                        {"MCP-Protocol-Version": MODERN}):
            with self.subTest(headers):
                reply = client.legacy("tools/call", call, headers=headers)
                self.assertEqual(reply.status, 400, reply.body)


if __name__ == "__main__":
    unittest.main()
