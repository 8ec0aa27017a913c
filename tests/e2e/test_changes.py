"""What changes at servers of both eras over stdio, as modern clients of `gavel mcp` hear of it."""

import json
import os
import sys
import unittest

from support import HERE, MODERN, EndToEnd, wait_until
from test_stdio import Wrapper

CONFIG = """
rules:
  - name: all of it
    tools: ["*"]
    verdict: allow
    reason: this is what the tests do
"""
META = "io.modelcontextprotocol/"
BOTH = ("legacy", "modern")


class Changes(EndToEnd):
    def setUp(self):
        super().setUp()
        self.gavel = self.start(CONFIG)

    def wrapper(self, era):
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.directory)}
        server = [sys.executable, HERE / "two_eras.py", era]
        command = [self.binary, "mcp", "--state", self.gavel.state, "--", *server]
        wrapper = Wrapper(command, environment, self.directory)
        self.addCleanup(wrapper.kill)
        return wrapper

    def ask(self, client, number, method, **params):
        """The answer, and what came before it."""
        params["_meta"] = {META + "protocolVersion": MODERN, META + "clientCapabilities": {}}
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        client.send(message)
        return self.until(client, lambda each: each.get("id") == number)

    def until(self, client, wanted):
        before = []
        while True:
            message = json.loads(client._lines.get(timeout=30))
            if wanted(message):
                return message, before
            before.append(message)

    def call(self, client, number, tool, **arguments):
        answer, before = self.ask(
            client, number, "tools/call", name=tool, arguments=arguments
        )
        return answer["result"]["content"][0]["text"], before

    def listen(self, client, number, **wanted):
        params = {"notifications": wanted}
        params["_meta"] = {META + "protocolVersion": MODERN, META + "clientCapabilities": {}}
        message = {"jsonrpc": "2.0", "id": number, "method": "subscriptions/listen"}
        client.send({**message, "params": params})
        method = "notifications/subscriptions/acknowledged"
        found, before = self.until(client, lambda each: each.get("method") == method)
        self.assertEqual(before, [])
        self.assertEqual(found["params"]["_meta"], {META + "subscriptionId": number})
        return found["params"]["notifications"]

    def heard_after(self, client, number, what):
        """Whatever came because of a change, up to an answer that came later."""
        _, before = self.call(client, number, "change", what=what)
        _, after = self.call(client, number + 1, "listening")
        return before + after

    def test_a_client_hears_of_what_it_asked_for(self):
        for era in BOTH:
            with self.subTest(era):
                client = self.wrapper(era)
                wanted = {"toolsListChanged": True, "resourceSubscriptions": ["test://a"]}
                self.assertEqual(self.listen(client, "one", **wanted), wanted)
                self.settled(client, era, "test://a")
                (heard,) = self.heard_after(client, 100, "tools")
                self.assertEqual(heard["method"], "notifications/tools/list_changed")
                self.assertEqual(heard["params"]["_meta"], {META + "subscriptionId": "one"})
                (heard,) = self.heard_after(client, 110, "test://a")
                self.assertEqual(heard["method"], "notifications/resources/updated")
                self.assertEqual(heard["params"]["uri"], "test://a")
                self.assertEqual(heard["params"]["_meta"], {META + "subscriptionId": "one"})
                self.assertEqual(self.heard_after(client, 120, "test://b"), [])
                # Another stream beside it, under its own id.
                self.listen(client, 2, resourceSubscriptions=["test://b"])
                self.settled(client, era, "test://b", start=200)
                (heard,) = self.heard_after(client, 300, "test://b")
                self.assertEqual(heard["params"]["_meta"], {META + "subscriptionId": 2})

    def settled(self, client, era, uri, start=10):
        """Once the server knows of the subscription."""
        number = iter(range(start, start + 80))
        wait_until(
            lambda: uri in self.call(client, next(number), "listening")[0],
            f"the {era} server knows of {uri}",
            every=0.1,
        )

    def test_a_stream_that_is_cancelled_is_silent_and_the_server_is_told(self):
        for era in BOTH:
            with self.subTest(era):
                client = self.wrapper(era)
                self.listen(client, "one", resourceSubscriptions=["test://a"])
                self.settled(client, era, "test://a")
                cancelled = {"requestId": "one", "reason": "enough"}
                method = "notifications/cancelled"
                client.send({"jsonrpc": "2.0", "method": method, "params": cancelled})
                number = iter(range(500, 600))
                wait_until(
                    lambda: "test://a" not in self.call(client, next(number), "listening")[0],
                    f"the {era} server knows that nobody listens",
                    every=0.1,
                )
                self.assertEqual(self.heard_after(client, 700, "test://a"), [])

    def test_a_stream_ends_with_a_result_when_gavel_stops(self):
        client = self.wrapper("modern")
        self.listen(client, "one", toolsListChanged=True)
        self.gavel.stop()
        answer, before = self.until(client, lambda each: each.get("id") == "one")
        self.assertEqual(answer["result"]["resultType"], "complete", before)
        self.assertEqual(answer["result"]["_meta"][META + "subscriptionId"], "one")

    def test_a_client_over_http_hears_of_a_modern_server_over_stdio(self):
        config = CONFIG.replace("rules:", f"""
servers:
  new: {{command: [python3, "{HERE}/two_eras.py", modern]}}
rules:""")
        self.gavel.stop()
        self.gavel.config.write_text(config)
        self.gavel.start()
        client = self.client(self.gavel)
        client.initialize()
        client.legacy("resources/subscribe", {"uri": "test://a"})
        call = {"name": "new__listening", "arguments": {}}
        wait_until(
            lambda: "test://a" in client.legacy("tools/call", call).text,
            "the server knows of the subscription",
            every=0.1,
        )
        client.legacy("resources/unsubscribe", {"uri": "test://a"})
        wait_until(
            lambda: "test://a" not in client.legacy("tools/call", call).text,
            "the server knows that nobody is subscribed",
            every=0.1,
        )


if __name__ == "__main__":
    unittest.main()
