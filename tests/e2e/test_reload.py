"""Another policy is put in force while calls go on."""

import os
import signal
import threading
import unittest

from support import CONFIG, EndToEnd, Refused, wait_until

DENIED = CONFIG.replace("verdict: allow\n    reason: this is what the tests do",
                        "verdict: deny\n    reason: no more lines")
ENVIRONMENT = 'environment: {UPSTREAM_FILE: "@FILE@"}'


class Reload(EndToEnd):
    def reload(self, text):
        self.gavel.config.write_text(self.config(text))
        return self.gavel.api("POST", "/v1/policy/reload", {})

    def append(self, text, session="work", **options):
        return self.gavel.propose(session, "box__append", {"text": text}, epoch=1, **options)

    def pid(self, server="box"):
        views = self.gavel.api("GET", "/v1/upstreams")["upstreams"]
        return {view["name"]: view for view in views}[server].get("pid")

    def policies(self):
        return [e["version"] for e in self.gavel.of_kind("control/everything", "policy_activated")]

    def test_other_rules_hold_from_then_on_and_stand_in_the_log(self):
        self.gavel = self.start()
        self.assertEqual(self.append("first")["kind"], "result")
        child = self.pid()
        change = self.reload(DENIED)
        self.assertEqual(change["servers"], {"added": [], "removed": [], "changed": []})
        answer = self.append("second")
        self.assertEqual((answer["kind"], answer["code"]), ("refused", "denied"), answer)
        self.assertIn("no more lines", answer["text"])
        self.assertEqual(self.effects(), ["first"])
        self.assertEqual(self.pid(), child)
        self.assertEqual(self.policies(), [change["before"], change["after"]])
        self.assertEqual(self.gavel.api("GET", "/v1/policy")["version"], change["after"])

    def test_a_call_at_work_ends_at_the_server_that_it_began_at(self):
        self.gavel = self.start()
        self.append("first")
        former = self.pid()
        answers = []
        slow = threading.Thread(target=lambda: answers.append(self.gavel.propose(
            "slow", "box__append_slowly", {"text": "slow", "seconds": 1.5}, epoch=1)))
        slow.start()
        wait_until(lambda: "slow" in self.effects(), "the call to be at work")
        change = self.reload(CONFIG.replace(ENVIRONMENT, ENVIRONMENT.replace("}", ', X: "1"}')))
        self.assertEqual(change["servers"]["changed"], ["box"])
        self.assertEqual(self.append("second")["kind"], "result")
        self.assertNotEqual(self.pid(), former)
        slow.join()
        self.assertEqual(answers[0]["kind"], "result", answers)
        self.assertEqual(sorted(self.effects()), ["first", "second", "slow"])
        # The former child is gone once nothing works at it.
        wait_until(lambda: not self.is_alive(former), "the former server to end")

    @staticmethod
    def is_alive(pid):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
                return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            return False

    def test_servers_come_and_go_and_clients_hear_of_it(self):
        self.gavel = self.start()
        second = CONFIG.replace("servers:\n  box:", "servers:\n  crate:")
        change = self.reload(second)
        self.assertEqual(change["servers"], {"added": ["crate"], "removed": ["box"], "changed": []})
        with self.assertRaises(Refused) as refused:
            self.append("first")
        self.assertEqual(refused.exception.code, "not_found")
        names = {tool["name"] for tool in self.gavel.api("GET", "/v1/tools")["tools"]}
        self.assertIn("crate__echo", names)
        self.assertFalse([name for name in names if name.startswith("box__")])
        answer = self.gavel.propose("work", "crate__echo", {"text": "a"}, epoch=1)
        self.assertEqual(answer["kind"], "result", answer)

    def test_a_held_call_is_decided_under_the_policy_that_held_it(self):
        self.gavel = self.start(CONFIG.replace("verdict: allow", "verdict: ask"))
        self.append("held", wait_ms=0)
        held = self.gavel.wait_pending("work")
        self.reload(DENIED)
        self.gavel.api("POST", f"/v1/sessions/work/intents/{held['intent']}/vote",
                       {"verdict": "allow", "digest": held["digest"]})
        wait_until(lambda: self.effects() == ["held"], "the held call to act")

    def test_a_file_with_a_problem_changes_nothing(self):
        self.gavel = self.start()
        before = self.policies()
        with self.assertRaises(Refused) as refused:
            self.reload(CONFIG.replace("rules:", "ruls:"))
        self.assertEqual(refused.exception.status, 400)
        self.assertRegex(refused.exception.message, r"gavel\.yaml:\d+:\d+: .*ruls.*rules")
        self.assertEqual(self.append("first")["kind"], "result")
        os.kill(self.gavel.process.pid, signal.SIGHUP)
        self.assertEqual(self.append("second")["kind"], "result")
        self.assertEqual(self.policies(), before)

    def test_by_the_command_line_and_by_the_signal(self):
        self.gavel = self.start()
        self.gavel.config.write_text(self.config(DENIED + "daemon: {hold_patience: 7s}\n"))
        code, out, _ = self.gavel.cli("policy", "reload")
        self.assertEqual(code, 0)
        self.assertIn("is in force; before it was", out)
        self.assertIn("daemon.hold_patience takes a restart", out)
        self.assertIn("the file is the same", self.gavel.cli("policy", "reload")[1])
        self.gavel.config.write_text(self.config(CONFIG))
        os.kill(self.gavel.process.pid, signal.SIGHUP)
        wait_until(lambda: len(self.policies()) == 3, "the signal to be heard")
        self.assertEqual(self.append("again")["kind"], "result")

    def test_it_takes_an_admin(self):
        self.gavel = self.start()
        with self.assertRaises(Refused) as refused:
            self.gavel.api("POST", "/v1/policy/reload", {}, role="agent")
        self.assertEqual(refused.exception.code, "permission_denied")


if __name__ == "__main__":
    unittest.main()
