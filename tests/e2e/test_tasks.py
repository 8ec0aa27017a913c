"""Tasks: calls that servers of both eras work on as tasks of their own, and actions that clients of
both eras ask about later."""

import itertools
import threading
import unittest

from support import EndToEnd, Refused, wait_until
from test_questions import ANSWERS, EVERYTHING, OldClient, text_of

CONFIG = """
servers:
  old:
    command: [python3, "@HERE@/two_eras.py", legacy]
    environment: {UPSTREAM_FILE: "@FILE@"}
    tools: {look: {effect: read}, long: {effect: write}, slow: {effect: write}}
  new:
    command: [python3, "@HERE@/two_eras.py", modern]
    environment: {UPSTREAM_FILE: "@FILE@"}
    tools: {look: {effect: read}, long: {effect: write}, slow: {effect: write}}
rules:
  - name: somebody is asked
    tools: ["*__ask"]
    verdict: ask
    reason: this is what the tests do
  - name: all of it
    tools: ["*__long", "*__look", "*__slow", "*__question"]
    verdict: allow
    reason: this is what the tests do
"""
SERVERS = ("old", "new")
TASKS = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"


class Later:
    """A call that is waited for in a thread of its own."""

    def __init__(self, call):
        self._thread = threading.Thread(target=self._run, args=(call,), daemon=True)
        self._thread.start()

    def _run(self, call):
        try:
            self.value = call()
        except Exception as error:
            self.value = error

    def wait(self, timeout=30):
        self._thread.join(timeout)
        return self.value


class Tasks(EndToEnd):
    def setUp(self):
        super().setUp()
        self.gavel = self.start(CONFIG)

    def go(self, how="completed"):
        new = self.directory / "go"
        new.write_text(how)
        new.rename(f"{self.file}.go")

    def fresh(self):
        """As if nothing had been."""
        for path in self.directory.glob("effects*"):
            path.unlink()

    def modern(self, session, tool, capabilities=None, timeout=60, **arguments):
        params = {"name": tool, "arguments": arguments}
        client = self.client(self.gavel, session, timeout=timeout)
        return client.modern("tools/call", params, meta={CAPABILITIES: capabilities or {}})

    def call(self, session, server, **arguments):
        return Later(lambda: self.modern(session, f"{server}__long", **arguments))

    def recorded(self, session, kind="task"):
        def found():
            try:
                return self.gavel.of_kind(session, kind)
            except Refused:
                return []  # the session is not there yet

        return wait_until(found, f"a {kind} is recorded")

    def outcome(self, session):
        return self.recorded(session, "outcome")[-1]


class OfServers(Tasks):
    def test_a_call_is_answered_when_its_task_has_ended(self):
        for server in SERVERS:
            with self.subTest(server):
                self.fresh()
                call = self.call(server, server, text="x")
                (task,) = self.recorded(server)
                self.assertEqual(self.gavel.of_kind(server, "outcome"), [])
                self.go()
                self.assertEqual(call.wait().text, "did x")
                self.assertEqual(self.effects(), ["started x"])
                (attempt,) = self.gavel.of_kind(server, "attempt")
                outcome = self.outcome(server)
                self.assertEqual(outcome["outcome"], "ok")
                self.assertLess(attempt["position"], task["position"])
                self.assertLess(task["position"], outcome["position"])
                version = "2025-11-25" if server == "old" else "2026-07-28"
                self.assertEqual(task["revision"], version)

    def test_its_end_says_what_came_of_the_call(self):
        ends = {
            "unhappy": ("failed", lambda r: r.result["isError"] and r.text == "it did not work"),
            "failed": ("failed", lambda r: r.error["code"] == -32000),
            "cancelled": ("failed", lambda r: "was cancelled" in r.text and r.result["isError"]),
        }
        for server in SERVERS:
            for how, (kind, is_right) in ends.items():
                session = f"{server}-{how}"
                with self.subTest(session):
                    self.fresh()
                    call = self.call(session, server, text="x")
                    self.recorded(session)
                    self.go(how)
                    reply = call.wait()
                    self.assertTrue(is_right(reply), reply.body)
                    self.assertEqual(self.outcome(session)["outcome"], kind)

    def test_another_daemon_follows_it_and_does_not_call_again(self):
        for server in SERVERS:
            with self.subTest(server):
                self.fresh()
                self.call(server, server, text="x")
                self.recorded(server)
                self.gavel.kill()
                self.gavel.start()
                # Whoever asks again waits for it.
                again = self.call(server, server, text="x")
                self.assertEqual(self.gavel.of_kind(server, "outcome"), [])
                self.go()
                self.assertEqual(again.wait().text, "did x")
                self.assertEqual(self.outcome(server)["outcome"], "ok")
                self.assertEqual(self.effects(), ["started x"])
                self.assertEqual(len(self.gavel.of_kind(server, "attempt")), 1)

    def test_what_its_server_forgot_is_unknown(self):
        for server in SERVERS:
            with self.subTest(server):
                self.fresh()
                self.call(server, server, text="x")
                (task,) = self.recorded(server)
                self.gavel.kill()
                (self.directory / f"effects.{task['task']}").unlink()
                self.gavel.start()
                outcome = self.outcome(server)
                self.assertEqual(outcome["outcome"], "unknown", outcome)
                self.assertIn("no such task", outcome["reason"])
                self.assertEqual(self.effects(), ["started x"])

    def test_what_it_asks_for_is_asked_of_clients_of_both_eras(self):
        for server in SERVERS:
            with self.subTest(server):
                self.fresh()
                self.go()
                old = OldClient(self.client(self.gavel), EVERYTHING)
                arguments = {"text": "x", "how": "ask"}
                done = old.call(f"{server}__long", arguments, ANSWERS["form"])
                self.assertEqual(text_of(done), "did x: accept")
                self.assertEqual(len(old.asked), 1)
                declared = {CAPABILITIES: EVERYTHING}
                params = {"name": f"{server}__long", "arguments": {**arguments, "text": "y"}}
                client = self.client(self.gavel)
                asked = client.modern("tools/call", params, meta=declared).result
                self.assertEqual(asked["resultType"], "input_required", asked)
                (key,) = asked["inputRequests"]
                params["inputResponses"] = {key: {"action": "decline"}}
                params["requestState"] = asked["requestState"]
                done = client.modern("tools/call", params, meta=declared)
                self.assertEqual(done.text, "did y: decline", done.body)
                self.assertEqual(self.effects(), ["started x", "started y"])

    def test_a_read_whose_client_left_is_cancelled_there(self):
        for server in SERVERS:
            with self.subTest(server):
                self.fresh()
                with self.assertRaises(TimeoutError):
                    self.modern(server, f"{server}__look", timeout=2, text="x")
                wait_until(lambda: "cancelled" in self.effects(), "the server is told", 20)
                self.assertEqual(self.outcome(server)["code"], "cancelled")


class OfClients(Tasks):
    def old_client(self, session):
        client = self.client(self.gavel, session)
        client.initialize()
        return client

    def start_old(self, client, tool, **arguments):
        params = {"name": tool, "arguments": arguments, "task": {"ttl": 60000}}
        return client.legacy("tools/call", params)

    def test_an_old_client_asks_later_for_any_tool(self):
        for server in SERVERS:
            for tool in ("long", "slow"):
                session = f"{server}-{tool}"
                with self.subTest(session):
                    self.fresh()
                    client = self.old_client(session)
                    arguments = {"text": "x"} if tool == "long" else {}
                    made = self.start_old(client, f"{server}__{tool}", **arguments)
                    task = made.result["task"]
                    self.assertEqual(task["status"], "working", made.body)
                    named = {"taskId": task["taskId"]}
                    self.assertEqual(client.legacy("tasks/get", named).result["status"], "working")
                    wait_until(self.effects, "the server is at it")
                    result = Later(lambda: client.legacy("tasks/result", named))
                    self.go()
                    done = result.wait()
                    self.assertEqual(done.text, "did x" if tool == "long" else "done slowly")
                    related = done.result["_meta"]["io.modelcontextprotocol/related-task"]
                    self.assertEqual(related, named)
                    state = client.legacy("tasks/get", named).result
                    self.assertEqual(state["status"], "completed")
                    self.assertEqual(state["createdAt"], task["createdAt"])
                    # Once more, for nothing.
                    self.assertEqual(client.legacy("tasks/result", named).text, done.text)
                    self.assertEqual(len(self.effects()), 1)
                    self.assertEqual(client.legacy("tasks/cancel", named).error["code"], -32602)

    def test_an_old_client_is_asked_while_it_waits_for_the_result(self):
        for server in SERVERS:
            with self.subTest(server):
                self.fresh()
                self.go()
                old = OldClient(self.client(self.gavel, server), EVERYTHING)
                arguments = {"text": "x", "how": "ask"}
                made = self.start_old(old.client, f"{server}__long", **arguments)
                named = {"taskId": made.result["task"]["taskId"]}
                wait_until(
                    lambda: old.client.legacy("tasks/get", named).result["status"]
                    == "input_required",
                    "it says that it asks",
                    every=0.1,
                )
                done = old.ask("tasks/result", named, ANSWERS["form"])
                self.assertEqual(text_of(done), "did x: accept")
                self.assertEqual(old.asked[0]["method"], "elicitation/create")

    def test_an_old_client_sees_that_every_tool_may_be_a_task(self):
        client = self.client(self.gavel)
        offered = client.initialize().result["capabilities"]["tasks"]
        self.assertEqual(offered, {"cancel": {}, "requests": {"tools": {"call": {}}}})
        for tool in client.legacy("tools/list").result["tools"]:
            self.assertEqual(tool["execution"], {"taskSupport": "optional"})
        older = self.client(self.gavel)
        self.assertNotIn("tasks", older.initialize("2025-06-18").result["capabilities"])
        for tool in older.legacy("tools/list").result["tools"]:
            self.assertNotIn("execution", tool)
        self.assertEqual(older.legacy("tasks/get", {"taskId": "x"}).error["code"], -32601)

    def test_a_modern_client_that_declares_them_gets_one_for_what_takes_longer(self):
        for server in SERVERS:
            for tool in ("long", "slow"):
                session = f"{server}-{tool}"
                with self.subTest(session):
                    self.fresh()
                    arguments = {"text": "x"} if tool == "long" else {}
                    made = self.modern(session, f"{server}__{tool}", TASKS, **arguments).result
                    self.assertEqual((made["resultType"], made["status"]), ("task", "working"))
                    client = self.client(self.gavel, session)
                    named = {"taskId": made["taskId"]}
                    state = self.about(client, "tasks/get", **named).result
                    self.assertEqual(state["status"], "working")
                    self.assertNotIn("result", state)
                    self.go()
                    state = wait_until(
                        lambda: self.ended(client, named), "the task has ended", every=0.1
                    )
                    self.assertEqual(state["status"], "completed")
                    said = "did x" if tool == "long" else "done slowly"
                    self.assertEqual(state["result"]["content"][0]["text"], said)
                    numbers = itertools.count(2)
                    wait_until(
                        lambda: self.modern(f"{session}-{next(numbers)}", f"{server}__slow", TASKS)
                        .result["resultType"] == "complete",
                        "what is quick is answered at once",
                    )

    def about(self, client, method, capabilities=TASKS, **params):
        return client.modern(method, params, meta={CAPABILITIES: capabilities})

    def ended(self, client, named):
        state = self.about(client, "tasks/get", **named).result
        return state if state["status"] != "working" else None

    def test_a_modern_client_is_asked_when_it_asks(self):
        declared = {**EVERYTHING, **TASKS}
        self.go()
        for tool, arguments, said in (
            ("new__long", {"text": "x", "how": "ask"}, "did x: accept"),
            ("old__long", {"text": "x", "how": "ask"}, "did x: accept"),
            ("old__question", {"kind": "form"}, '{"result": {"action": "accept"}}'),
        ):
            with self.subTest(tool):
                session = tool.replace("_", "-")
                made = self.modern(session, tool, declared, **arguments).result
                self.assertEqual(made["resultType"], "task", made)
                client = self.client(self.gavel, session)
                named = {"taskId": made["taskId"]}

                def state_of(client=client, named=named):
                    return self.about(client, "tasks/get", declared, **named).result

                asked = wait_until(
                    lambda: state_of() if "inputRequests" in state_of() else None,
                    "it asks",
                    every=0.1,
                )
                self.assertEqual(asked["status"], "input_required")
                ((key, question),) = asked["inputRequests"].items()
                self.assertEqual(question["method"], "elicitation/create")
                answers = {key: {"action": "accept"}, "nobody asked": {"action": "accept"}}
                update = {**named, "inputResponses": answers}
                taken = self.about(client, "tasks/update", declared, **update)
                self.assertEqual(taken.result["resultType"], "complete", taken.body)
                done = wait_until(
                    lambda: state_of() if "result" in state_of() else None, "it ends", every=0.1
                )
                self.assertEqual(done["status"], "completed")
                self.assertEqual(done["result"]["content"][0]["text"], said)

    def test_who_did_not_declare_tasks_is_told_so(self):
        made = self.modern("work", "old__slow", TASKS).result
        client = self.client(self.gavel, "work")
        for method in ("tasks/get", "tasks/update", "tasks/cancel"):
            reply = self.about(client, method, {}, taskId=made["taskId"])
            self.assertEqual((reply.status, reply.error["code"]), (400, -32021), reply.body)
            self.assertEqual(reply.error["data"]["requiredCapabilities"], TASKS)
        # It goes on, whatever its client wishes, and says so.
        self.assertEqual(self.about(client, "tasks/cancel", taskId=made["taskId"]).status, 200)
        self.go()
        state = wait_until(
            lambda: self.ended(client, {"taskId": made["taskId"]}), "it ends", every=0.1
        )
        self.assertEqual(state["status"], "completed")

    def test_its_name_is_good_after_a_restart_and_for_nobody_else(self):
        client = self.old_client("work")
        named = {"taskId": self.start_old(client, "old__long", text="x").result["task"]["taskId"]}
        self.recorded("work")
        self.gavel.kill()
        self.gavel.start()
        client = self.old_client("work")
        self.assertEqual(client.legacy("tasks/get", named).result["status"], "working")
        # Another session, another name, and what is none.
        other = self.old_client("other")
        wrong = [(other, named["taskId"]), (client, named["taskId"][:-2]), (client, "x")]
        for whose, name in wrong:
            for method in ("tasks/get", "tasks/result", "tasks/cancel"):
                reply = whose.legacy(method, {"taskId": name})
                self.assertEqual(reply.error["code"], -32602, reply.body)
        modern = self.about(self.client(self.gavel, "other"), "tasks/get", **named)
        self.assertEqual(modern.error["code"], -32602, modern.body)
        self.go()
        self.assertEqual(client.legacy("tasks/result", named).text, "did x")
        self.assertEqual(self.effects(), ["started x"])

    def test_one_that_is_held_says_so_and_can_be_taken_back(self):
        client = self.old_client("work")
        task = self.start_old(client, "old__ask", kind="form").result["task"]
        self.assertEqual(task["status"], "working")
        self.assertIn("gavel approve work#", task["statusMessage"])
        self.assertEqual(len(self.gavel.pending("work")), 1)
        gone = client.legacy("tasks/cancel", {"taskId": task["taskId"]})
        self.assertEqual(gone.result["status"], "cancelled", gone.body)
        self.assertEqual(self.gavel.pending("work"), [])
        decision = self.recorded("work", "decision")[-1]
        self.assertEqual((decision["ruling"], decision["code"]), ("abort", "cancelled"))
        made = self.modern("modern", "old__ask", TASKS, kind="form").result
        self.assertEqual(made["resultType"], "task")
        client = self.client(self.gavel, "modern")
        named = {"taskId": made["taskId"]}
        gone = self.about(client, "tasks/cancel", **named)
        self.assertEqual(gone.result["resultType"], "complete")
        self.assertEqual(self.about(client, "tasks/get", **named).result["status"], "cancelled")
        self.assertEqual(self.effects(), [])

    def test_to_cancel_reaches_the_servers_task(self):
        for server in SERVERS:
            with self.subTest(server):
                self.fresh()
                client = self.old_client(server)
                task = self.start_old(client, f"{server}__long", text="x").result["task"]
                self.recorded(server)
                gone = client.legacy("tasks/cancel", {"taskId": task["taskId"]})
                self.assertEqual(gone.result["status"], "cancelled", gone.body)
                self.assertEqual(self.effects(), ["started x", "cancelled"])

    def test_a_write_at_work_cannot_be_cancelled(self):
        client = self.old_client("work")
        task = self.start_old(client, "old__slow").result["task"]
        wait_until(self.effects, "the server is at it")
        reply = client.legacy("tasks/cancel", {"taskId": task["taskId"]})
        self.assertEqual(reply.error["code"], -32602, reply.body)
        self.go()
        done = client.legacy("tasks/result", {"taskId": task["taskId"]})
        self.assertEqual(done.text, "done slowly")


if __name__ == "__main__":
    unittest.main()
