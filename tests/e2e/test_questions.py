"""Servers that ask in the middle of a call: each kind of question, each era on either side."""

import http.client
import json
import threading
import unittest
import urllib.parse
from queue import Queue

from support import EndToEnd

CONFIG = """
servers:
  old:
    command: [python3, "@HERE@/two_eras.py", legacy]
    environment: {UPSTREAM_FILE: "@FILE@"}
  new:
    command: [python3, "@HERE@/two_eras.py", modern]
    environment: {UPSTREAM_FILE: "@FILE@"}
rules:
  - name: all of it
    tools: ["*"]
    verdict: allow
    reason: this is what the tests do
"""
# What a client says to each kind of question.
ANSWERS = {
    "form": {"action": "accept", "content": {"ok": True}},
    "url": {"action": "accept"},
    "sampling": {
        "role": "assistant",
        "content": {"type": "text", "text": "4"},
        "model": "m",
    },
    "roots": {"roots": [{"uri": "file:///work"}]},
}
METHODS = {
    "form": "elicitation/create",
    "url": "elicitation/create",
    "sampling": "sampling/createMessage",
    "roots": "roots/list",
}
EVERYTHING = {"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}}


def events(response):
    """The messages of a response, as they come."""
    if not response.getheader("Content-Type", "").startswith("text/event-stream"):
        yield json.loads(response.read())
        return
    while line := response.readline():
        # The first event has an id and no data.
        if line.startswith(b"data:") and line[5:].strip():
            yield json.loads(line[5:])


class OldClient:
    """A client of the handshake line that answers what it is asked, on a stream that it reads as it
    comes."""

    def __init__(self, client, capabilities):
        self.client = client
        self._host = urllib.parse.urlsplit(client._url).netloc
        self._path = client._path
        reply = client.send(
            {
                "jsonrpc": "2.0",
                "id": 0,
                "method": "initialize",
                "params": {
                    "protocolVersion": "2025-11-25",
                    "capabilities": capabilities,
                    "clientInfo": {"name": "old", "version": "1"},
                },
            }
        )
        client.session, client.version = reply.headers["mcp-session-id"], "2025-11-25"
        self.asked = []

    def open(self, method, body=None):
        connection = http.client.HTTPConnection(self._host, timeout=60)
        headers = {
            "Authorization": f"Bearer {self.client._token}",
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
            **self.client._legacy(),
        }
        connection.request(method, self._path, body=body, headers=headers)
        return connection.getresponse()

    def call(self, tool, arguments, answer):
        return self.ask("tools/call", {"name": tool, "arguments": arguments}, answer)

    def ask(self, method, params, answer):
        """The last message; questions are answered with `answer`, a result or {"error": ...}."""
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        for message in events(self.open("POST", json.dumps(call))):
            if "method" in message and "id" in message:
                self.asked.append(message)
                said = answer if "error" in answer else {"result": answer}
                reply = {"jsonrpc": "2.0", "id": message["id"], **said}
                self.client.send(reply, headers=self.client._legacy())
            elif message.get("id") == 1:
                return message
        raise EOFError("the stream ended without an answer")


def text_of(message):
    return message["result"]["content"][0]["text"]


class Questions(EndToEnd):
    def setUp(self):
        super().setUp()
        self.gavel = self.start(CONFIG)

    def ask_modern(self, tool, arguments, capabilities, **more):
        declared = {"io.modelcontextprotocol/clientCapabilities": capabilities}
        params = {"name": tool, "arguments": arguments, **more}
        return self.client(self.gavel).modern("tools/call", params, meta=declared)

    def test_a_modern_client_is_asked_by_servers_of_both_eras(self):
        for server in ("old", "new"):
            for kind, answer in ANSWERS.items():
                with self.subTest(server=server, kind=kind):
                    call = (f"{server}__ask", {"kind": kind}, EVERYTHING)
                    asked = self.ask_modern(*call).result
                    self.assertEqual(asked["resultType"], "input_required", asked)
                    ((key, question),) = asked["inputRequests"].items()
                    self.assertEqual(question["method"], METHODS[kind])
                    # Of the older era alone.
                    self.assertNotIn("elicitationId", question["params"])
                    done = self.ask_modern(
                        *call,
                        inputResponses={key: answer},
                        requestState=asked["requestState"],
                    )
                    self.assertEqual(json.loads(done.text), {"result": answer}, done.body)
        self.assertEqual(self.effects(), [f"asked {kind}" for kind in ANSWERS] * 2)

    def test_an_old_client_is_asked_by_servers_of_both_eras(self):
        for server in ("old", "new"):
            client = OldClient(self.client(self.gavel), EVERYTHING)
            for kind, answer in ANSWERS.items():
                with self.subTest(server=server, kind=kind):
                    done = client.call(f"{server}__ask", {"kind": kind}, answer)
                    self.assertEqual(json.loads(text_of(done)), {"result": answer})
                    question = client.asked.pop()
                    self.assertEqual(client.asked, [])
                    self.assertEqual(question["method"], METHODS[kind])
                    if kind == "url":
                        self.assertEqual(question["params"]["url"], "https://example.com/login")
                        self.assertTrue(question["params"]["elicitationId"])
        self.assertEqual(self.effects(), [f"asked {kind}" for kind in ANSWERS] * 2)

    def test_what_a_client_did_not_declare_is_refused_and_the_call_goes_on(self):
        partly = {"elicitation": {}}  # forms alone
        for kind in ANSWERS:
            for declared, code in (({}, -32601), (partly, -32602 if kind == "url" else -32601)):
                if kind == "form" and declared:
                    continue
                with self.subTest(kind=kind, declared=declared):
                    modern = self.ask_modern("old__ask", {"kind": kind}, declared)
                    self.assertEqual(json.loads(modern.text)["error"]["code"], code, modern.body)
                    old = OldClient(self.client(self.gavel), declared)
                    done = old.call("old__ask", {"kind": kind}, {})
                    self.assertEqual(json.loads(text_of(done))["error"]["code"], code)
                    self.assertEqual(old.asked, [])
                    # A modern server knows whom it can ask.
                    done = old.call("new__ask", {"kind": kind}, {})
                    self.assertEqual(text_of(done), "nobody can be asked")
                    done = self.ask_modern("new__ask", {"kind": kind}, declared)
                    self.assertEqual(done.text, "nobody can be asked")

    def test_a_refusal_of_the_client_reaches_the_server(self):
        client = OldClient(self.client(self.gavel), EVERYTHING)
        refusal = {"error": {"code": -1, "message": "User rejected sampling request"}}
        done = client.call("old__ask", {"kind": "sampling"}, refusal)
        self.assertEqual(json.loads(text_of(done)), refusal)
        declined = {"action": "decline"}
        done = client.call("old__ask", {"kind": "form"}, declined)
        self.assertEqual(json.loads(text_of(done)), {"result": declined})

    def test_nobody_is_asked_for_another_client(self):
        # The other one's call waits for its answer meanwhile.
        first = self.ask_modern("old__ask", {"kind": "form"}, EVERYTHING)
        second = OldClient(self.client(self.gavel), EVERYTHING)
        done = second.call("old__ask", {"kind": "roots"}, ANSWERS["roots"])
        self.assertEqual(json.loads(text_of(done))["error"]["code"], -32603)
        self.assertEqual(second.asked, [])
        (key,) = first.result["inputRequests"]
        done = self.ask_modern(
            "old__ask",
            {"kind": "form"},
            EVERYTHING,
            inputResponses={key: ANSWERS["form"]},
            requestState=first.result["requestState"],
        )
        self.assertEqual(json.loads(done.text), {"result": ANSWERS["form"]}, done.body)

    def test_an_old_client_hears_that_a_url_was_done_with(self):
        client = OldClient(self.client(self.gavel), EVERYTHING)
        heard = Queue()
        stream = client.open("GET")
        threading.Thread(target=lambda: [heard.put(m) for m in events(stream)], daemon=True).start()
        client.call("old__ask", {"kind": "url"}, ANSWERS["url"])
        told = heard.get(timeout=20)
        self.assertEqual(told["method"], "notifications/elicitation/complete")
        asked = client.asked[0]["params"]["elicitationId"]
        self.assertEqual(told["params"], {"elicitationId": asked})

    def test_a_url_that_must_be_opened_first(self):
        old = OldClient(self.client(self.gavel), EVERYTHING)
        self.assertEqual(old.call("old__locked", {}, {})["error"]["code"], -32042)
        self.gavel.stop()
        self.gavel.start()
        # Of the newer era: a question, after whose answer the call is made again.
        lacking = self.ask_modern("old__locked", {}, {"elicitation": {"form": {}}})
        self.assertEqual(lacking.error["code"], -32021)
        wanted = lacking.error["data"]["requiredCapabilities"]
        self.assertEqual(wanted, {"elicitation": {"url": {}}})
        self.gavel.stop()
        self.gavel.start()
        asked = self.ask_modern("old__locked", {"n": "1"}, EVERYTHING).result
        ((key, question),) = asked["inputRequests"].items()
        self.assertEqual(question["params"]["url"], "https://example.com")
        round_two = {
            "inputResponses": {key: ANSWERS["url"]},
            "requestState": asked["requestState"],
        }
        done = self.ask_modern("old__locked", {"n": "1"}, EVERYTHING, **round_two)
        # A server of the older era is not sent what it does not know.
        self.assertEqual(json.loads(done.text), ["_meta", "arguments", "name"], done.body)
        self.assertEqual(self.effects(), ["opened"])
        # Sent again, as after a broken stream, it is the same round; with other answers it is none.
        again = self.ask_modern("old__locked", {"n": "1"}, EVERYTHING, **round_two)
        self.assertEqual(again.text, done.text, again.body)
        self.assertTrue(again.result["_meta"]["com.gavel/replayed"])
        self.assertEqual(self.effects(), ["opened"])
        round_two["inputResponses"] = {key: {"action": "decline"}}
        other = self.ask_modern("old__locked", {"n": "1"}, EVERYTHING, **round_two)
        self.assertEqual(other.error["code"], -32602, other.body)
        self.assertEqual(self.effects(), ["opened"])
        intents = self.gavel.of_kind("agent-witness", "intent")
        self.assertEqual(len({each["key"] for each in intents}), len(intents))


if __name__ == "__main__":
    unittest.main()
