"""Clients that break the protocol: what either revision forbids is refused with its own code and
status, and others are served meanwhile."""

import json
import socket
import unittest
from pathlib import Path

from support import LEGACY, MODERN, EndToEnd, wait_until

STREAMS = 1000
HEADERS = {"MCP-Protocol-Version": MODERN}
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}


class BadClients(EndToEnd):
    def setUp(self):
        super().setUp()
        self.gavel = self.start()
        self.mcp = self.client(self.gavel, "work")

    def tearDown(self):
        call = {"name": "box__echo", "arguments": {"text": "still here"}}
        self.assertEqual(self.mcp.modern("tools/call", call).text, "still here")
        self.assertEqual(self.effects(), [], "nothing was done")
        super().tearDown()

    def refused(self, reply, status, code):
        self.assertEqual(reply.status, status, reply.body[:300])
        self.assertEqual((reply.error or {}).get("code"), code, reply.body[:300])
        self.assertTrue(reply.error["message"])

    def modern(self, method, params=None, **message):
        """A message of 2026-07-28 whose members may be replaced."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method,
                "params": {"_meta": META, **(params or {})}, **message}
        headers = {**HEADERS, "Mcp-Method": method}
        if "name" in body["params"]:
            headers["Mcp-Name"] = str(body["params"]["name"])
        return self.mcp.send(body, headers=headers)

    # --- 2026-07-28 ---

    def test_methods_that_are_gone(self):
        for method in ("ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe",
                       "tasks/list", "tasks/result", "tools/destroy", "elicitation/create",
                       "sampling/createMessage", "roots/list", "initialize"):
            with self.subTest(method):
                self.refused(self.modern(method, {"uri": "test://greeting", "level": "info"}),
                             404, -32601)

    def test_only_post(self):
        for method in ("GET", "DELETE", "PUT", "HEAD"):
            with self.subTest(method):
                self.assertEqual(self.mcp.send(None, method, headers=HEADERS).status, 405)

    def test_no_batches(self):
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": "box__append", "arguments": {"text": "x"}, "_meta": META}}
        for batch in ([call], [call, call], []):
            with self.subTest(len(batch)):
                headers = {**HEADERS, "Mcp-Method": "tools/call", "Mcp-Name": "box__append"}
                reply = self.mcp.send(batch, headers=headers)
                self.refused(reply, 400, -32600)

    def test_ids_that_are_none(self):
        for number in (None, 1.5, [], {}, True):
            with self.subTest(number):
                call = {"name": "box__append", "arguments": {"text": "x"}}
                self.refused(self.modern("tools/call", call, id=number), 400, -32600)

    def test_answers_to_questions_that_nobody_asked(self):
        for message in ({"id": "q1", "result": {"action": "accept"}},
                        {"id": 1, "error": {"code": -1, "message": "no"}}):
            with self.subTest(message):
                reply = self.mcp.send({"jsonrpc": "2.0", **message}, headers=HEADERS)
                self.assertIn(reply.status, (202, 400), reply.body)
                self.assertIsNone(reply.result)

    def test_states_that_gavel_did_not_give(self):
        for state in ("", "guess", "x" * 100_000, 7, {}, None):
            with self.subTest(str(state)[:10]):
                reply = self.modern("tools/call", {
                    "name": "box__append", "arguments": {"text": "x"}, "requestState": state,
                    "inputResponses": {"it": {"action": "accept"}}})
                self.assertIsNotNone(reply.error, reply.body[:300])
                self.assertEqual(reply.error["code"], -32602, reply.body[:300])

    def test_answers_without_a_state(self):
        reply = self.modern("tools/call", {
            "name": "box__append", "arguments": {"text": "x"}, "inputResponses": "yes"})
        self.assertIsNotNone(reply.error, reply.body[:300])
        self.assertEqual(reply.error["code"], -32602, reply.body)

    def test_metadata_of_the_wrong_kind(self):
        prefix = "io.modelcontextprotocol/"
        for member, value in (("protocolVersion", 7), ("protocolVersion", None),
                              ("clientCapabilities", []), ("clientCapabilities", "all")):
            with self.subTest(member, value=value):
                meta = {**META, prefix + member: value}
                reply = self.modern("tools/list", {"_meta": meta})
                self.assertEqual(reply.status, 400, reply.body)
                self.assertIn(reply.error["code"], (-32602, -32020, -32022), reply.body)

    def test_a_body_that_is_not_called_json(self):
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list",
                           "params": {"_meta": META}})
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            with self.subTest(kind):
                headers = {**HEADERS, "Mcp-Method": "tools/list", "Content-Type": kind}
                self.assertEqual(self.mcp.send(body, headers=headers).status, 415)

    def test_a_stream_for_who_takes_none(self):
        headers = {**HEADERS, "Mcp-Method": "subscriptions/listen", "Accept": "application/json"}
        body = {"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen",
                "params": {"_meta": META, "notifications": {"toolsListChanged": True}}}
        self.assertEqual(self.mcp.send(body, headers=headers).status, 406)

    # --- the handshake line ---

    def test_requests_without_a_session(self):
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        self.assertEqual(self.mcp.send(body, headers={"MCP-Protocol-Version": LEGACY}).status, 400)

    def test_a_session_that_was_ended(self):
        self.mcp.initialize()
        headers = {"Mcp-Session-Id": self.mcp.session, "MCP-Protocol-Version": LEGACY}
        self.assertIn(self.mcp.send(None, "DELETE", headers=headers).status, (200, 204))
        self.assertEqual(self.mcp.legacy("tools/list").status, 404)
        self.assertEqual(self.mcp.send(None, "DELETE", headers=headers).status, 404)
        self.assertEqual(self.mcp.send(None, "GET", headers=headers).status, 404)

    def test_batches_after_the_revision_that_had_them(self):
        self.mcp.initialize()
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                "params": {"name": "box__append", "arguments": {"text": "x"}}}
        headers = {"Mcp-Session-Id": self.mcp.session, "MCP-Protocol-Version": LEGACY}
        self.refused(self.mcp.send([call, {**call, "id": 2}], headers=headers), 400, -32600)

    def test_revisions_that_nobody_speaks(self):
        self.mcp.initialize()
        for version in ("1999-01-01", "latest", ""):
            with self.subTest(version):
                headers = {"Mcp-Session-Id": self.mcp.session, "MCP-Protocol-Version": version}
                body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
                self.assertEqual(self.mcp.send(body, headers=headers).status, 400)

    # --- too many ---

    def test_a_thousand_streams(self):
        """Of either kind: others are served meanwhile, and nothing of them stays."""
        files = Path(f"/proc/{self.gavel.process.pid}/fd")
        before = len(list(files.iterdir()))
        for open_one in (self.listen_modern, self.listen_legacy):
            with self.subTest(open_one.__name__):
                streams = [open_one() for _ in range(STREAMS)]
                try:
                    for stream in streams[:: STREAMS // 20]:
                        head = stream.recv(4096)
                        self.assertRegex(head, rb"^HTTP/1.1 (200|409|429|503) ")
                    name = f"beside-{open_one.__name__}"
                    other = self.client(self.gavel, name)
                    call = {"name": "box__echo", "arguments": {"text": "served"}}
                    self.assertEqual(other.modern("tools/call", call).text, "served")
                    halt = {"scope": f"session:{name}", "mode": "halt"}
                    self.gavel.api("POST", "/v1/halts", halt)
                finally:
                    for stream in streams:
                        stream.close()
                wait_until(lambda: len(list(files.iterdir())) <= before + 20,
                           "the streams are closed", 60, every=0.2)

    def listen_modern(self):
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": {
            "_meta": META, "notifications": {"toolsListChanged": True,
                                             "resourceSubscriptions": ["test://greeting"]}}})
        return self.send_raw(
            f"POST /mcp HTTP/1.1\r\nMCP-Protocol-Version: {MODERN}\r\n"
            f"Mcp-Method: subscriptions/listen\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n", body)

    def listen_legacy(self):
        if not self.mcp.session:
            self.mcp.initialize()
        return self.send_raw(f"GET /mcp HTTP/1.1\r\nMcp-Session-Id: {self.mcp.session}\r\n"
                             f"MCP-Protocol-Version: {LEGACY}\r\n", "")

    def send_raw(self, lines, body):
        host, port = self.gavel.url.removeprefix("http://").split(":")
        stream = socket.create_connection((host, int(port)), timeout=30)
        token = self.gavel.token("agent")
        stream.sendall((f"{lines}Host: {host}:{port}\r\nAuthorization: Bearer {token}\r\n"
                        f"Accept: application/json, text/event-stream\r\n\r\n{body}").encode())
        return stream


if __name__ == "__main__":
    unittest.main()
