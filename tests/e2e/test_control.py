"""What holds, stops and limits actions: approvals, two steps, halts, keys, budgets, queues."""

import http.client
import json
import threading
import time
import unittest

from support import CONFIG, HERE, EndToEnd, Refused, wait_until


def config(rules, top="", **changes):
    """The usual servers with other rules; `top` stands beside them."""
    text = CONFIG[: CONFIG.index("rules:")] + "rules:\n" + rules + top
    for old, new in changes.values():
        text = text.replace(old, new)
    return text


def rule(verdict, tools="box__append", extra=""):
    return (
        f'  - name: {verdict} it\n    tools: ["{tools}"]\n    verdict: {verdict}\n'
        f"    reason: because of the test\n{extra}"
    )


class Holds(EndToEnd):
    def propose(self, text="x", wait_ms=200, **more):
        return self.gavel.propose(
            "work", "box__append", {"text": text}, epoch=1, wait_ms=wait_ms, **more
        )

    def vote(self, held, verdict="allow", role="operator", digest=None):
        return self.gavel.api(
            "POST",
            f"/v1/sessions/work/intents/{held['intent']}/vote",
            {"verdict": verdict, "reason": "the test says so", "digest": digest or held["digest"]},
            role=role,
        )

    def test_an_approved_call_is_done_once(self):
        self.gavel = self.start(config(rule("ask")))
        self.assertEqual(self.propose()["kind"], "pending")
        self.vote(self.gavel.wait_pending("work"))
        answer = self.propose(wait_ms=10_000)
        self.assertEqual(answer["kind"], "result", answer)
        self.assertEqual(self.effects(), ["x"])

    def test_a_denied_call_is_never_done(self):
        self.gavel = self.start(config(rule("ask")))
        self.propose()
        self.vote(self.gavel.wait_pending("work"), "deny")
        answer = self.propose(wait_ms=10_000)
        self.assertEqual((answer["kind"], answer["code"]), ("refused", "denied"), answer)
        self.assertIn("the test says so", answer["text"])
        self.assertEqual(self.effects(), [])

    def test_two_steps_take_their_time_even_when_confirmed_at_once(self):
        self.gavel = self.start(config(rule("two_step"), "defaults: {two_step_delay: 2s}\n"))
        started = time.monotonic()
        self.propose()
        self.vote(self.gavel.wait_pending("work"))
        time_left = 2 - (time.monotonic() - started)
        if time_left > 0.5:
            self.assertEqual(self.effects(), [])
        answer = self.propose(wait_ms=15_000)
        self.assertEqual(answer["kind"], "result", answer)
        self.assertGreaterEqual(time.monotonic() - started, 1.9)
        self.assertEqual(self.effects(), ["x"])

    def test_what_was_approved_and_still_waits_says_so(self):
        self.gavel = self.start(config(rule("two_step"), "defaults: {two_step_delay: 1h}\n"))
        self.propose()
        held = self.gavel.wait_pending("work")
        self.assertEqual(held["approved_by"], [])
        self.assertIn("waits for a confirmation", self.gavel.cli("approvals")[1])
        code, out, err = self.gavel.cli("approve", f"work#{held['intent']}", "--yes")
        self.assertEqual(code, 0, err)
        self.assertRegex(out, r"it is now held: approved by operator; acts in (59m|1h)")
        self.assertEqual(self.gavel.wait_pending("work")["approved_by"], ["operator"])
        self.assertRegex(self.gavel.cli("approvals")[1], "approved by operator; acts in")
        self.assertEqual(self.effects(), [])

    def test_the_requester_cannot_confirm(self):
        self.gavel = self.start(config(rule("two_step")))
        self.propose()
        held = self.gavel.wait_pending("work")
        with self.assertRaises(Refused) as caught:
            self.vote(held, role="agent")
        self.assertEqual(caught.exception.status, 403)
        self.assertEqual(self.effects(), [])

    def test_a_vote_counts_only_for_what_was_shown(self):
        self.gavel = self.start(config(rule("ask")))
        self.propose()
        held = self.gavel.wait_pending("work")
        with self.assertRaises(Refused) as caught:
            self.vote(held, digest="0" * 64)
        self.assertEqual(caught.exception.status, 409, caught.exception)
        self.assertEqual(self.effects(), [])

    def test_a_hold_expires(self):
        self.gavel = self.start(config(rule("ask"), "defaults: {hold_for: 1s}\n"))
        self.propose()
        wait_until(lambda: not self.gavel.pending("work"), "the hold expired", 15)
        answer = self.propose(wait_ms=5000)
        self.assertEqual(answer["kind"], "refused", answer)
        self.assertIn("in time", answer["text"])
        self.assertEqual(self.effects(), [])

    def test_the_first_decision_is_the_only_one(self):
        self.gavel = self.start(config(rule("ask")))
        self.propose()
        held = self.gavel.wait_pending("work")
        self.vote(held, "deny")
        with self.assertRaises(Refused) as caught:
            self.vote(held, "allow")
        self.assertIn(caught.exception.status, (404, 409), caught.exception)
        decisions = self.gavel.of_kind("work", "decision")
        self.assertEqual([each["ruling"] for each in decisions], ["abort"])
        self.assertEqual(self.effects(), [])

    def test_many_impatient_callers_of_one_key_make_one_effect(self):
        self.gavel = self.start()
        answers = []

        def once():
            answers.append(self.propose("same", wait_ms=10_000, key="k1"))

        threads = [threading.Thread(target=once) for _ in range(12)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        self.assertEqual({each["kind"] for each in answers}, {"result"})
        self.assertEqual({each["intent"] for each in answers}, {answers[0]["intent"]})
        self.assertEqual(self.effects(), ["same"])

    def test_a_key_belongs_to_its_arguments(self):
        self.gavel = self.start()
        self.propose("one", key="k1", wait_ms=5000)
        with self.assertRaises(Refused) as caught:
            self.propose("two", key="k1", wait_ms=5000)
        self.assertEqual(caught.exception.code, "key_reused")
        self.assertEqual(self.effects(), ["one"])

    def test_a_denied_tool_is_not_even_listed(self):
        self.gavel = self.start(config(rule("deny", "box__append*")))
        client = self.client(self.gavel)
        client.initialize()
        names = [each["name"] for each in client.legacy("tools/list").result["tools"]]
        self.assertIn("box__echo", names)
        self.assertFalse([name for name in names if "append" in name])
        answer = self.propose(wait_ms=2000)
        self.assertEqual((answer["kind"], answer["code"]), ("refused", "denied"))
        self.assertIn("because of the test", answer["text"])

    def test_a_rule_on_arguments_decides_by_them(self):
        condition = "    arguments: {required: [text], properties: {text: {pattern: '^secret'}}}\n"
        rules = rule("deny", extra=condition) + rule("allow")
        self.gavel = self.start(config(rules))
        self.assertEqual(self.propose("plain", wait_ms=5000)["kind"], "result")
        self.assertEqual(self.propose("secret plan", wait_ms=5000)["code"], "denied")
        self.assertEqual(self.effects(), ["plain"])

    def test_explain_says_what_a_call_would_meet(self):
        self.gavel = self.start(config(rule("ask")))
        told = self.gavel.api(
            "POST",
            "/v1/policy/explain",
            {
                "principal": "agent",
                "session": "work",
                "tool": "box__append",
                "arguments": {"text": "x"},
            },
        )
        self.assertEqual((told["verdict"], told["rule"]), ("ask", "ask it"))
        self.assertEqual(self.gavel.api("GET", "/v1/sessions")["sessions"], [])


class Halts(EndToEnd):
    def setUp(self):
        super().setUp()
        self.gavel = self.start()

    def append(self, session, text="x"):
        return self.gavel.propose(session, "box__append", {"text": text}, epoch=1)

    def halt(self, scope, mode="halt"):
        self.gavel.api("POST", "/v1/halts", {"scope": scope, "mode": mode, "reason": "test"})

    def test_a_halt_covers_its_scope_and_no_more(self):
        self.halt("session:one")
        self.assertEqual(self.append("one")["code"], "halted")
        self.assertEqual(self.append("two")["kind"], "result")
        self.halt("toolset:box")
        self.assertEqual(self.append("two")["code"], "halted")
        self.assertEqual(self.effects(), ["x"])

    def test_a_freeze_lets_reads_through(self):
        self.halt("everything", "freeze")
        answer = self.gavel.propose("one", "box__echo", {"text": "read"}, epoch=1)
        self.assertEqual(answer["kind"], "result", answer)
        self.assertEqual(self.append("one")["code"], "halted")
        self.halt("everything", "halt")
        answer = self.gavel.propose("one", "box__echo", {"text": "read"}, epoch=1)
        self.assertEqual(answer["code"], "halted", answer)

    def test_nothing_is_dispatched_after_a_halt_was_answered(self):
        stop = threading.Event()

        def busy(name):
            number = 0
            while not stop.is_set():
                number += 1
                self.append(name, f"{name}.{number}")

        threads = [threading.Thread(target=busy, args=(f"s{n}",)) for n in range(4)]
        for each in threads:
            each.start()
        wait_until(lambda: len(self.effects()) > 20, "there is traffic")
        self.halt("everything")
        # What had committed before may finish; nothing else may begin.
        wait_until(
            lambda: all(
                s["in_flight"] == 0 for s in self.gavel.api("GET", "/v1/sessions")["sessions"]
            ),
            "what was under way ended",
        )
        after = len(self.effects())
        time.sleep(0.5)
        stop.set()
        for each in threads:
            each.join()
        self.assertEqual(len(self.effects()), after)

    def test_a_misspelt_scope_is_not_everything(self):
        self.halt("everything", "freeze")
        for path in ("/v1/resume", "/v1/halts"):
            with self.subTest(path), self.assertRaises(Refused) as caught:
                self.gavel.api("POST", path, {"scop": "session:one", "reason": "x"})
            self.assertEqual(caught.exception.status, 400)
        self.assertEqual(self.append("one")["code"], "halted")

    def test_only_people_may_halt_and_resume(self):
        for path, body in (
            ("/v1/halts", {"scope": "everything", "mode": "halt", "reason": "x"}),
            ("/v1/resume", {"scope": "everything", "reason": "x"}),
        ):
            with self.subTest(path), self.assertRaises(Refused) as caught:
                self.gavel.api("POST", path, body, role="agent")
            self.assertEqual(caught.exception.status, 403)


class LastLook(EndToEnd):
    """What was committed, and waits for its turn at the server, is looked at once more."""

    def one_at_a_time(self):
        text = CONFIG.replace("    timeout: 2s\n", "    timeout: 30s\n    concurrency: 1\n")
        self.gavel = self.start(text)
        self.answers = {}
        calls = [
            ("box__append_slowly", {"text": "first", "seconds": 2}),
            ("box__append", {"text": "second"}),
        ]
        threads = [threading.Thread(target=self.call, args=each) for each in calls]
        threads[0].start()
        wait_until(lambda: self.effects() == ["first"], "the first call is under way")
        threads[1].start()
        wait_until(
            lambda: len(self.gavel.of_kind("work", "attempt")) == 2, "the second is committed"
        )
        return threads

    def call(self, tool, arguments):
        answer = self.gavel.propose("work", tool, arguments, epoch=1, wait_ms=30_000)
        self.answers[arguments["text"]] = answer

    def finish(self, threads):
        for each in threads:
            each.join()
        self.assertEqual(self.answers["first"]["kind"], "result", self.answers)
        self.assertEqual(self.effects(), ["first"])
        outcomes = {each["intent"]: each for each in self.gavel.of_kind("work", "outcome")}
        return outcomes[max(outcomes)]

    def test_a_halt_stops_it(self):
        threads = self.one_at_a_time()
        body = {"scope": "everything", "mode": "halt", "reason": "stop"}
        self.gavel.api("POST", "/v1/halts", body)
        outcome = self.finish(threads)
        self.assertEqual(outcome["outcome"], "failed", outcome)
        self.assertIn("not dispatched", outcome["reason"])

    def test_another_driver_stops_it(self):
        threads = self.one_at_a_time()
        self.gavel.api("POST", "/v1/sessions/work/wake", {"client": "", "reason": "take over"})
        outcome = self.finish(threads)
        self.assertEqual(outcome["outcome"], "failed", outcome)
        self.assertIn("epoch 2", outcome["reason"])


class LostAnswers(EndToEnd):
    """An idempotent call acts, and its server dies before it answers."""

    def die_once(self, command=None):
        text = CONFIG.replace(
            "      append: {effect: write}",
            "      append: {effect: write}\n"
            "      die_once: {effect: write, idempotent: true, retries: 1}",
        ).replace('"box__append*"', '"box__die_once"')
        if command is not None:
            text = text.replace('[python3, "@HERE@/upstream.py"]', json.dumps(command))
        self.gavel = self.start(text)
        self.answer = None

        def call():
            self.answer = self.gavel.propose(
                "work", "box__die_once", {"text": "paid"}, epoch=1, wait_ms=20_000
            )

        thread = threading.Thread(target=call)
        thread.start()
        wait_until(self.file.exists, "it has acted")
        wait_until(self.outcomes, "the answer is lost")
        return thread

    def outcomes(self):
        return [each["outcome"] for each in self.gavel.of_kind("work", "outcome")]

    def test_a_new_driver_does_not_stop_finding_out(self):
        thread = self.die_once()
        self.gavel.api("POST", "/v1/sessions/work/wake", {"client": "", "reason": "take over"})
        thread.join()
        self.assertEqual(self.answer["kind"], "result", self.answer)
        self.assertEqual(self.outcomes(), ["unknown", "ok"])
        self.assertEqual(self.effects(), ["paid"])

    def test_under_a_halt_it_stays_unknown_until_the_halt_is_lifted(self):
        thread = self.die_once()
        scope = {"scope": "everything", "reason": "stop"}
        self.gavel.api("POST", "/v1/halts", {**scope, "mode": "halt"})
        time.sleep(1)
        self.assertNotIn("failed", self.outcomes())
        self.gavel.api("POST", "/v1/resume", scope)
        thread.join()
        self.assertEqual(self.answer["kind"], "result", self.answer)
        self.assertEqual(self.effects(), ["paid"])

    def test_a_server_that_does_not_come_back_leaves_it_unknown(self):
        script = self.directory / "once.sh"
        script.write_text(
            f'#!/bin/sh\n[ -s "{self.file}" ] && exit 1\nexec python3 "{HERE}/upstream.py"\n'
        )
        script.chmod(0o755)
        thread = self.die_once(["sh", str(script)])
        thread.join()
        self.assertNotEqual(self.answer["kind"], "result", self.answer)
        self.assertEqual(set(self.outcomes()), {"unknown"})
        self.assertEqual(self.effects(), ["paid"])


class Limits(EndToEnd):
    def test_a_budget_of_calls_is_never_passed(self):
        budget = (
            "budgets:\n  - name: few\n    scope: session\n"
            '    tools: ["box__append"]\n    calls: 5\n'
        )
        gavel = self.start(CONFIG + budget)
        answers = []

        def one(number):
            answers.append(
                gavel.propose("work", "box__append", {"text": str(number)}, epoch=1, wait_ms=10_000)
            )

        threads = [threading.Thread(target=one, args=(n,)) for n in range(12)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        self.assertEqual(len(self.effects()), 5, answers)
        refused = [each for each in answers if each["kind"] != "result"]
        self.assertEqual({each["code"] for each in refused}, {"budget_exhausted"}, refused)
        gavel.kill()
        gavel.start()
        again = gavel.propose("work", "box__append", {"text": "later"}, epoch=1)
        self.assertEqual(again["code"], "budget_exhausted", "a budget outlives the daemon")

    def test_reads_spend_from_a_budget_that_sessions_share(self):
        budget = (
            "budgets:\n  - name: few\n    scope: everything\n"
            '    tools: ["box__echo"]\n    calls: 2\n'
        )
        gavel = self.start(CONFIG + budget)
        answers = [
            gavel.propose(session, "box__echo", {"text": "x"}, epoch=1)
            for session in ("one", "two", "three")
        ]
        self.assertEqual([each["kind"] for each in answers], ["result", "result", "refused"])
        self.assertEqual(answers[-1]["code"], "budget_exhausted", answers[-1])

    def test_a_full_queue_says_busy_and_when_to_come_back(self):
        text = CONFIG.replace(
            "    timeout: 2s", "    timeout: 20s\n    concurrency: 1\n    queue: 1"
        )
        gavel = self.start(text)
        gavel.propose("work", "box__echo", {"text": "warm"}, epoch=1)
        answers = []

        def slow(number):
            answers.append(
                gavel.propose(
                    f"s{number}", "box__sleep", {"seconds": 1 + number / 100}, wait_ms=15_000
                )
            )

        threads = [threading.Thread(target=slow, args=(n,)) for n in range(6)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        done = [each for each in answers if each["kind"] == "result"]
        busy = [each for each in answers if each["kind"] != "result"]
        self.assertEqual(len(done), 2, answers)
        self.assertTrue(all("try again in" in each["text"] for each in busy), busy)
        self.assertTrue(all(each["code"] == "busy" for each in busy), busy)

    def test_an_idempotent_tool_is_tried_again_with_the_same_key(self):
        text = CONFIG.replace(
            "      append: {effect: write}",
            "      append: {effect: write}\n"
            "      die_once: {effect: write, idempotent: true, retries: 2}",
        ).replace('"box__append*"', '"box__append*", "box__die_once"')
        gavel = self.start(text)
        answer = gavel.propose("work", "box__die_once", {"text": "x"}, epoch=1, wait_ms=20_000)
        self.assertEqual(answer["kind"], "result", answer)
        self.assertEqual(self.effects(), ["x"])
        attempts = gavel.of_kind("work", "attempt")
        self.assertEqual([each["number"] for each in attempts], [1, 2])
        self.assertLess(attempts[0]["fencing_token"], attempts[1]["fencing_token"])

    def test_an_unknown_write_is_settled_by_its_probe(self):
        probe = (
            "      append_and_die:\n        effect: write\n"
            "        probe:\n          tool: box__lines\n"
            "          arguments: {}\n          happened:\n            required: [content]\n"
            "            properties:\n"
            "              content: {contains: {properties: {text: {pattern: 'once'}}}}\n"
        )
        text = CONFIG.replace("      append_and_die: {effect: write}\n", probe)
        gavel = self.start(text)
        answer = gavel.propose(
            "work", "box__append_and_die", {"text": "once"}, epoch=1, wait_ms=20_000
        )
        self.assertEqual(answer["kind"], "result", answer)
        self.assertEqual(self.effects(), ["once"])
        outcomes = [each["outcome"] for each in gavel.of_kind("work", "outcome")]
        self.assertEqual(outcomes, ["unknown", "ok"])


class Watching(EndToEnd):
    def test_entries_are_pushed_and_can_be_resumed(self):
        gavel = self.start()
        gavel.propose("work", "box__append", {"text": "one"}, epoch=1)
        first = self.read(gavel, "/v1/sessions/work/watch?from=1", 3)
        self.assertEqual([position for position, _ in first], [1, 2, 3])
        self.assertEqual(first[0][1]["kind"], "session_opened")
        rest = self.read(gavel, "/v1/sessions/work/watch", 1, {"Last-Event-ID": "3"})
        self.assertEqual(rest[0][0], 4)
        self.assertEqual(
            [entry for _, entry in first], gavel.entries("work")[:3], "the same as what is read"
        )

    def test_what_comes_later_is_pushed(self):
        gavel = self.start()
        gavel.propose("work", "box__append", {"text": "one"}, epoch=1)
        tail = len(gavel.entries("work"))
        found = []
        reader = threading.Thread(
            target=lambda: found.extend(
                self.read(gavel, f"/v1/sessions/work/watch?from={tail + 1}", 1)
            )
        )
        reader.start()
        gavel.propose("work", "box__append", {"text": "two"}, epoch=1)
        reader.join(20)
        self.assertGreater(found[0][0], tail)

    def read(self, gavel, path, count, headers=None):
        host = gavel.url.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=15)
        try:
            connection.request(
                "GET",
                path,
                headers={"Authorization": f"Bearer {gavel.token('operator')}", **(headers or {})},
            )
            response = connection.getresponse()
            self.assertEqual(response.status, 200)
            found, position = [], None
            while len(found) < count:
                line = response.readline().decode().rstrip("\r\n")
                if line.startswith("id:"):
                    position = int(line[3:])
                elif line.startswith("data:"):
                    found.append((position, json.loads(line[5:])))
            return found
        finally:
            connection.close()


if __name__ == "__main__":
    unittest.main()
