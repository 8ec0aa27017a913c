"""Hooks over HTTP: gavel setup --http, what the daemon answers, and what gavel doctor says of it."""

import http.client
import json
import os
import re
import subprocess
import unittest
import urllib.parse

from support import EndToEnd, Gavel
from test_hooks import CONFIG

from lib.certificates import daemon_tls, make_daemon_certificates  # isort: skip


class HttpHooks(EndToEnd):
    """A daemon with TLS, and the requests as Claude Code makes them from what setup wrote."""

    def setUp(self):
        super().setUp()
        self.home = self.directory / "home"
        self.project = (self.directory / "prøject").resolve()
        self.project.mkdir()
        self.settings = self.home / ".claude/settings.json"
        self.tls = make_daemon_certificates(self.directory, "DNS:localhost,IP:127.0.0.1")
        self.gavel = Gavel(
            self.binary,
            self.directory / "gavel",
            self.config(f"{CONFIG}daemon: {{{daemon_tls(self.directory)}}}\n"),
            tls=self.tls,
        )
        self.addCleanup(self.gavel.stop)
        self.gavel.start()

    def run_gavel(self, *arguments, gavel=None):
        return subprocess.run(
            [self.binary, arguments[0], "--state", (gavel or self.gavel).state, *arguments[1:]],
            capture_output=True, text=True, cwd=self.project, stdin=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "HOME": str(self.home)},
        )

    def setup(self, *arguments, **options):
        return self.run_gavel("setup", "claude-code", "--yes", *arguments, **options)

    def under_run(self):
        """The environment of an agent."""
        shown = self.run_program(
            ["sh", "-c", 'cd "$0" && exec "$@"', str(self.project), *self.gavel.through("work"),
             "env", "-0"]
        )
        self.assertEqual(shown.code(), 0, shown.err())
        return dict(each.split("=", 1) for each in shown.out().split("\0") if each)

    def ask(self, name, tool_input, call="c1", tool="Bash", environment=None, **more):
        """What the program would do: (status, its body parsed)."""
        hook = json.loads(self.settings.read_text())["hooks"][name][0]["hooks"][0]
        self.assertEqual((hook["type"], hook["onFailure"]), ("http", "block"))
        environment = environment or self.under_run()
        allowed = set(hook["allowedEnvVars"])

        def fill(text):
            def value(found):
                self.assertIn(found[1], allowed)
                return environment.get(found[1], "")
            # Node drops what is not Latin-1.
            return re.sub(r"\$(\w+)", value, text).encode("latin-1", "ignore").decode("latin-1")

        url = urllib.parse.urlsplit(hook["url"])
        connection = http.client.HTTPSConnection(
            url.netloc, context=self.tls, timeout=60
        )
        event = {"hook_event_name": name, "session_id": "s1", "cwd": str(self.project),
                 "tool_name": tool, "tool_input": tool_input, "tool_use_id": call, **more}
        connection.request(
            "POST", f"{url.path}?{url.query}" if url.query else url.path, json.dumps(event),
            {key: fill(text) for key, text in hook["headers"].items()},
        )
        answer = connection.getresponse()
        body = json.loads(answer.read())
        connection.close()
        return answer.status, body

    def reason(self, *arguments, **options):
        status, body = self.ask("PreToolUse", *arguments, **options)
        self.assertEqual(status, 200, body)
        output = body.get("hookSpecificOutput", {})
        self.assertIn(output.get("permissionDecision"), (None, "deny"))
        return output.get("permissionDecisionReason", "")

    def test_calls_go_through_the_policy_and_into_the_log_of_gavel_run(self):
        self.assertEqual(self.setup("--http", "--wait", "1").returncode, 0)
        environment = self.under_run()
        self.assertEqual(self.reason({"command": "ls"}, environment=environment), "")
        status, body = self.ask("PostToolUse", {"command": "ls"}, tool_response={"stdout": "a"},
                                environment=environment)
        self.assertEqual((status, body), (200, {}))
        edit = {"file_path": str(self.project / "a.txt"), "content": "x"}
        again = {"tool": "Write", "environment": environment}
        self.assertIn("gavel approve work#", self.reason(edit, "c2", **again))
        held = self.gavel.pending()[0]
        self.assertEqual(held["effect"], "write", "inside of the project, whatever its name")
        self.gavel.cli("approve", f"work#{held['intent']}", "--yes")
        self.assertEqual(self.reason(edit, "c3", **again), "")
        fetch = {"url": "https://example.com"}
        self.assertIn("ask a person for the page",
                      self.reason(fetch, "c4", tool="WebFetch", environment=environment))
        told = self.gavel.transcript("work")
        self.assertEqual([i["phase"] for i in told], ["ok", "in_flight", "aborted"])

    def test_symbolic_links_are_followed(self):
        self.setup("--http", "--wait", "1")
        (self.project / "door").symlink_to("/etc")
        inside, outside = (str(self.project / name) for name in ("a.txt", "door/hosts"))
        for number, (file, effect) in enumerate([(inside, "write"), (outside, "destructive")]):
            self.reason({"file_path": file, "content": "x"}, f"c{number}", tool="Write")
            self.assertEqual(self.gavel.transcript("work")[-1]["effect"], effect, file)

    def test_without_gavel_run_there_is_no_token_and_nothing_passes(self):
        self.setup("--http")
        status, _ = self.ask("PreToolUse", {"command": "ls"}, environment={"HOME": "/"})
        self.assertEqual(status, 401)

    def test_gavel_run_tells_whom_to_trust(self):
        environment = self.under_run()
        self.assertEqual(environment["NODE_EXTRA_CA_CERTS"], str(self.directory / "chain.pem"))
        self.assertEqual(urllib.parse.unquote(environment["GAVEL_PROJECT"]), str(self.project))
        self.assertTrue(environment["GAVEL_PROJECT"].isascii())

    def test_setup_takes_a_daemon_with_tls_and_a_program_that_has_such_hooks(self):
        plain = self.daemon(CONFIG, "plain").start()
        done = self.setup("--http", gavel=plain)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("serves no TLS", done.stderr)
        done = self.run_gavel("setup", "codex", "--http", "--yes")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("leave out --http", done.stderr)
        self.assertFalse(self.settings.exists())

    def test_setup_can_be_undone_and_replaced(self):
        before = '{\n  // mine\n  "model": "x"\n}\n'
        self.settings.parent.mkdir(parents=True)
        self.settings.write_text(before)
        self.setup("--http", "--wait", "9")
        over_http = self.settings.read_text()
        self.assertIn("/v1/hooks/claude-code?wait=9", over_http)
        self.assertIn("nothing to change", self.setup("--http", "--wait", "9").stdout)
        self.setup()
        self.assertNotIn("/v1/hooks", self.settings.read_text())
        self.setup("--http", "--wait", "9")
        self.assertEqual(self.settings.read_text(), over_http)
        self.assertEqual(self.setup("--undo").returncode, 0)
        self.assertEqual(self.settings.read_text(), before)

    def guard(self):
        done = self.run_gavel("doctor", "--json")
        checks = {each["check"]: each for each in json.loads(done.stdout)["checks"]}
        return checks["guard claude-code"]["health"], checks["guard claude-code"]["text"]

    def test_doctor_asks_as_the_program_does(self):
        self.setup("--http")
        health, text = self.guard()
        self.assertEqual(health, "ok", text)
        self.assertIn("live: ", text)
        intent = self.gavel.transcript("claude-code%2Fgavel-doctor")[-1]
        self.assertEqual((intent["tool"], intent["phase"]), ("own__forbidden", "aborted"))
        good = self.settings.read_text()
        self.settings.write_text(good.replace("https://", "https://elsewhere."))
        health, text = self.guard()
        self.assertEqual(health, "fail")
        self.assertIn("not this daemon", text)
        self.settings.write_text(good.replace('"block"', '"continue"', 1))
        self.assertEqual(self.guard()[0], "warn")


if __name__ == "__main__":
    unittest.main()
