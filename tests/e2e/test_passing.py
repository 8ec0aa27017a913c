"""Resources, prompts and completions: passed to their server, and actions all the same, which policy,
halts and the log are asked about."""

import threading
import unittest

from support import CONFIG, EndToEnd

URI = "test://greeting"
KEPT = """
  - name: not this one
    tools: ["box__resources/read"]
    verdict: deny
    reason: nobody reads the greeting
    arguments: {properties: {uri: {const: "test://secret"}}, required: [uri]}
  - name: prompts are asked about
    tools: ["*__prompts/get"]
    verdict: ask
    reason: a person looks at what is asked of the model
"""


class Passing(EndToEnd):
    def setUp(self):
        super().setUp()
        self.gavel = self.start(CONFIG + KEPT)
        self.agent = self.client(self.gavel, session="s")

    def read(self, uri=URI):
        return self.agent.modern("resources/read", {"uri": uri})

    def greet(self):
        return self.agent.modern("prompts/get", {"name": "box__greet", "arguments": {"who": "Ada"}})

    def halt(self, scope, mode="halt"):
        body = {"scope": scope, "mode": mode, "reason": "test"}
        self.gavel.api("POST", "/v1/halts", body)

    def test_a_read_is_recorded_with_its_result(self):
        self.assertEqual(self.read().result["contents"][0]["text"], "hello")
        (intent,) = self.gavel.transcript("s")
        self.assertEqual(intent["tool"], "box__resources/read")
        self.assertEqual(intent["effect"], "read")
        (outcome,) = self.gavel.of_kind("s", "outcome")
        self.assertEqual(outcome["outcome"], "ok")
        self.assertIn("hello", str(outcome["result"]))
        self.assertEqual(len(self.gavel.of_kind("s", "decision")), 1)
        self.read()
        self.assertEqual(len(self.gavel.transcript("s")), 2, "each asking is an action of its own")
        self.assertEqual(self.effects(), [f"read {URI}"] * 2)

    def test_a_halt_stops_it(self):
        for scope in ("everything", "toolset:box", "session:s", "agent:agent"):
            with self.subTest(scope):
                self.halt(scope)
                self.assertIn("halt", self.read().error["message"])
                self.gavel.api("POST", "/v1/resume", {"scope": scope, "reason": "test"})
        self.assertEqual(self.effects(), [])
        self.read()
        self.assertEqual(self.effects(), [f"read {URI}"])

    def test_a_rule_denies_it_by_its_arguments(self):
        reply = self.agent.modern("resources/read", {"uri": "test://secret"})
        self.assertIn("nobody reads the greeting", reply.error["message"])
        self.assertEqual(self.effects(), [])
        explained = self.gavel.ask("policy", "explain", "box__resources/read", f'{{"uri": "{URI}"}}')
        self.assertEqual(explained["verdict"], "allow")
        self.assertEqual(explained["effect"], "read")

    def test_a_held_one_is_passed_once_it_is_approved(self):
        answers = []
        asking = threading.Thread(target=lambda: answers.append(self.greet()))
        asking.start()
        held = self.gavel.wait_pending("s")
        self.assertEqual(held["tool"], "box__prompts/get")
        self.gavel.ask("approve", f"s#{held['intent']}", "--yes")
        asking.join(30)
        (answer,) = answers
        self.assertEqual(answer.result["messages"][0]["content"]["text"], "greet Ada")
        self.assertEqual(len(self.gavel.transcript("s")), 1)

    def test_a_held_one_that_is_denied_is_not(self):
        answers = []
        asking = threading.Thread(target=lambda: answers.append(self.greet()))
        asking.start()
        held = self.gavel.wait_pending("s")
        self.gavel.ask("deny", f"s#{held['intent']}", "--reason", "not that one")
        asking.join(30)
        self.assertIn("not that one", answers[0].error["message"])

    def test_no_tool_is_called_by_such_a_name(self):
        reply = self.agent.modern("tools/call", {"name": "box__resources/read", "arguments": {}})
        self.assertIn("is no tool", str(reply.message))

    def test_a_woken_session_refuses_the_earlier_driver(self):
        self.read()
        self.gavel.ask("wake", "s")
        self.assertIn("epoch", self.read().error["message"])
        self.assertEqual(self.effects(), [f"read {URI}"])


if __name__ == "__main__":
    unittest.main()
