"""The command line against a running daemon: what people read, what programs read, exit codes."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
import unittest

from support import CONFIG, HERE, EndToEnd, Refused, wait_until

# Writes ask, as they do where no rule says otherwise.
ASKING = CONFIG.split("rules:")[0]


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, command, environment, directory):
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(directory)
            # A shell that runs the tests in the background ignores it for them, too.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.execve(command[0], [str(part) for part in command], environment)
        self.text = ""

    def read_until(self, wanted, timeout=20):
        deadline = time.monotonic() + timeout
        while not re.search(wanted, self.text):
            left = deadline - time.monotonic()
            if left <= 0 or not self._read(left):
                raise AssertionError(f"{wanted!r} never came: {self.text!r}")
        return self.text

    def _read(self, timeout):
        ready, _, _ = select.select([self._fd], [], [], timeout)
        if not ready:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:
            return False
        self.text += data.decode()
        return bool(data)

    def type(self, text):
        os.write(self._fd, text.encode())

    def wait(self):
        while self._read(20):
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self._fd)
        return os.waitstatus_to_exitcode(status)

    def stop(self):
        os.kill(self.pid, signal.SIGINT)
        return self.wait()


class CommandLine(EndToEnd):
    def setUp(self):
        super().setUp()
        self.gavel = self.start(ASKING)

    def environment(self):
        return {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(self.directory),
            "TERM": "xterm",
        }

    def terminal(self, *arguments):
        return Terminal(self.gavel.command(*arguments), self.environment(), self.directory)

    def succeed(self, *arguments):
        code, out, err = self.gavel.cli(*arguments)
        self.assertEqual(code, 0, err or out)
        return out

    def hold(self, session="work", text="one"):
        """A call that is held, proposed by an agent who does not wait for it."""
        answer = self.gavel.propose(session, "box__append", {"text": text}, wait_ms=100)
        self.assertEqual(answer["kind"], "pending", answer)
        return f"{session}#{answer['intent']}"

    def read_once(self, session="work"):
        self.gavel.propose(session, "box__echo", {"text": "hello"})


class Reading(CommandLine):
    def test_sessions_are_listed_for_people_and_programs(self):
        self.read_once("first")
        self.read_once("second")
        listed = self.gavel.ask("sessions")["sessions"]
        self.assertEqual([each["session"] for each in listed], ["first", "second"])
        table = self.succeed("sessions", "fi")
        self.assertRegex(table, r"(?m)^SESSION .*\nfirst +agent +1 ")
        self.assertNotIn("second", table)
        self.assertNotIn("\x1b", table)

    def test_a_log_is_printed_line_by_line(self):
        self.read_once()
        lines = self.succeed("log", "work", "--json").splitlines()
        kinds = [json.loads(line)["kind"] for line in lines]
        self.assertEqual(kinds[0], "session_opened")
        self.assertIn("outcome", kinds)
        table = self.succeed("log", "work")
        self.assertRegex(table, r'intent +agent +box__echo read \{"text":"hello"\}')
        self.assertEqual(len(self.succeed("log", "work", "--last", "1").splitlines()), 2)
        only = self.succeed("log", "work", "--kind", "intent", "--json").splitlines()
        self.assertEqual(len(only), 1)

    def test_a_session_and_an_intent_are_shown(self):
        intent = self.hold()
        self.assertIn("0 running, 1 held, 0 unknown", self.succeed("show", "work"))
        story = self.succeed("show", intent)
        self.assertIn('"text": "one"', story)
        self.assertRegex(story, r"\+\S+ +held")
        self.assertEqual(self.gavel.ask("show", intent)["entries"][0]["kind"], "intent")
        self.assertEqual(self.succeed("show", "#" + intent.split("#")[1]), story)

    def test_an_intent_is_shown_with_payloads_that_are_not_in_its_entries(self):
        text = "".join(f"line {number} " for number in range(6000))
        answer = self.gavel.propose("work", "box__echo", {"text": text})
        name = f"work#{answer['intent']}"
        entries = self.gavel.ask("show", name)["entries"]
        of = {entry["kind"]: entry for entry in entries}
        self.assertEqual(of["intent"]["arguments"], {"text": text})
        self.assertEqual(of["outcome"]["result"]["content"][0]["text"], text)
        shown = self.succeed("show", name)
        self.assertEqual(shown.count("line 0 line 1 line 2"), 3, shown)
        self.assertIn("CUT: this is not all of it; see all with --json", shown)
        # The log itself stays short.
        self.assertLess(len(self.succeed("log", "work", "--json")), 20_000)

    def test_what_does_not_exist_is_said_with_its_exit_code(self):
        code, out, err = self.gavel.cli("show", "nowhere")
        self.assertEqual((code, out), (3, ""), err)
        self.assertTrue(err.startswith("gavel: "), err)
        code, _, err = self.gavel.cli("show", "nowhere", "--json")
        self.assertEqual(code, 3)
        self.assertEqual(json.loads(err)["error"]["code"], "not_found")

    def test_tools_upstreams_and_doctor_tell_how_things_are(self):
        self.read_once()
        self.assertRegex(self.succeed("tools", "box"), r"box__append +write +ask")
        self.assertRegex(self.succeed("upstreams"), r"box +ready +misbehaving 1.0")
        checks = self.gavel.ask("doctor")
        self.assertTrue(checks["healthy"], checks)
        self.assertIn("server box", [each["check"] for each in checks["checks"]])

    def test_doctor_says_whether_the_daemon_runs_the_file(self):
        def policy(*more):
            checks = self.gavel.ask("doctor", *more)["checks"]
            return next(each for each in checks if each["check"] == "policy")

        self.assertIn("of a file that it was given", policy()["text"])
        self.assertIn("the daemon runs it", policy("--config", self.gavel.config)["text"])
        other = self.directory / "other.yaml"
        other.write_text("servers: {}\n")
        changed = policy("--config", other)
        self.assertEqual(changed["health"], "warn")
        self.assertIn("the daemon runs another", changed["text"])
        self.assertIn("gavel up --config", changed["advice"])
        code, out, _ = self.gavel.cli("doctor", "--config", self.directory / "none.yaml")
        self.assertEqual(code, 1)
        self.assertIn("gavel init", out)

    def test_a_new_token_works_at_once(self):
        self.succeed("token", "new", "carol", "--role", "approver")
        token = json.loads((self.gavel.state / "tokens" / "carol.json").read_text())["token"]
        halts = self.gavel._request(self.gavel.url, "GET", "/v1/halts", None, token, 10)
        self.assertEqual(halts, {"halts": []})

    def test_the_policy_in_force_explains_itself(self):
        explained = self.gavel.ask("policy", "explain", "box__append", '{"text":"x"}')
        self.assertEqual((explained["verdict"], explained["effect"]), ("ask", "write"))
        self.assertIn("verdict", self.succeed("policy", "explain", "box__append", '{"text":"x"}'))
        offline = self.gavel.ask(
            "policy", "explain", "box__append", '{"text":"x"}', "--file", self.gavel.config
        )
        self.assertEqual(offline["verdict"], "ask")
        self.assertIn("misspelled", self.check_typo())
        self.assertEqual(self.succeed("policy", "show"), self.gavel.config.read_text())
        json.loads(self.succeed("policy", "schema"))

    def test_explain_says_what_no_policy_can_mend(self):
        def problems(*call):
            return self.gavel.ask("policy", "explain", *call)["problems"]

        self.assertEqual(problems("box__append", '{"text":"x"}'), [])
        self.assertEqual(
            problems("box__apend"), ['no tool "box__apend"; did you mean "box__append"?']
        )
        self.assertEqual(problems("bx__append"), ['no server "bx"; did you mean "box"?'])
        self.assertRegex(problems("box__append", '{"txt":"x"}')[0], "arguments are wrong: `text`")
        self.assertRegex(
            self.succeed("policy", "explain", "box__append", "{}"), "such a call is refused: .*text"
        )
        offline = problems("bx__append", "--file", self.gavel.config)
        self.assertEqual(offline, ['the file has no server "bx"; did you mean "box"?'])

    def check_typo(self):
        wrong = self.directory / "wrong.yaml"
        wrong.write_text("servers: {}\nmisspelled: 1\n")
        code, out, _ = self.gavel.cli("policy", "check", wrong)
        self.assertEqual(code, 2)
        self.assertIn("wrong.yaml:2:", out)
        return out

    def test_completion_asks_the_daemon_for_names(self):
        intent = self.hold()
        self.assertEqual(self.succeed("__values", "session"), "work\n")
        self.assertEqual(self.succeed("__values", "intent"), intent + "\n")
        self.assertIn("toolset:box\n", self.succeed("__values", "scope"))


class Deciding(CommandLine):
    def test_an_approved_call_acts_once(self):
        intent = self.hold()
        self.assertIn(intent, self.succeed("approvals"))
        self.assertIn("approved", self.succeed("approve", intent, "--yes", "--reason", "fine"))
        wait_until(lambda: self.effects() == ["one"], "the call acted")
        wait_until(lambda: "outcome" in self.succeed("log", "work"), "the outcome is recorded")
        code, _, err = self.gavel.cli("approve", intent, "--yes")
        self.assertEqual(code, 3, err)
        self.assertEqual(self.effects(), ["one"])

    def test_a_denied_call_never_acts_and_the_reason_is_recorded(self):
        intent = self.hold()
        self.succeed("deny", intent, "--reason", "not today")
        self.assertEqual(self.gavel.pending(), [])
        self.assertIn("not today", self.succeed("show", intent))
        self.assertEqual(self.effects(), [])

    def test_an_approval_shows_what_it_approves_and_takes_only_yes(self):
        intent = self.hold(text="look at me")
        terminal = self.terminal("approve", intent)
        shown = terminal.read_until(r"\[y/N\]")
        self.assertIn("look at me", shown)
        self.assertIn("write", shown)
        self.assertIn(self.gavel.pending()[0]["digest"][:12], shown)
        terminal.type("\n")
        self.assertEqual(terminal.wait(), 8)
        self.assertEqual(len(self.gavel.pending()), 1)
        terminal = self.terminal("approve", intent)
        terminal.read_until(r"\[y/N\]")
        terminal.type("y\n")
        self.assertEqual(terminal.wait(), 0)
        wait_until(lambda: self.effects() == ["look at me"], "the call acted")

    def test_without_a_terminal_nothing_is_approved_by_accident(self):
        intent = self.hold()
        code, _, err = self.gavel.cli("approve", intent)
        self.assertEqual(code, 2)
        self.assertIn("--yes", err)
        self.assertEqual(len(self.gavel.pending()), 1)

    def test_a_number_alone_must_be_the_only_one(self):
        first, second = self.hold("a"), self.hold("b")
        number = first.split("#")[1]
        self.assertEqual(number, second.split("#")[1])
        code, _, err = self.gavel.cli("approve", number, "--yes")
        self.assertEqual(code, 4)
        self.assertIn("a#", err)
        self.succeed("deny", second)
        self.succeed("approve", number, "--yes")
        wait_until(lambda: self.effects() == ["one"], "the call acted")

    def test_a_freeze_stops_writes_and_is_lifted(self):
        self.succeed("freeze", "--reason", "release")
        self.assertRegex(self.succeed("halt", "--list"), r"everything +freeze +operator")
        answer = self.gavel.propose("work", "box__append", {"text": "x"})
        self.assertEqual((answer["kind"], answer["code"]), ("refused", "halted"))
        self.read_once()
        self.succeed("resume")
        self.assertEqual(self.gavel.ask("halt", "--list")["halts"], [])
        self.hold()

    def test_a_halt_has_a_scope(self):
        self.succeed("halt", "session:bad")
        answer = self.gavel.propose("bad", "box__echo", {"text": "x"})
        self.assertEqual(answer["kind"], "refused")
        self.read_once("good")
        code, _, err = self.gavel.cli("halt", "planet:earth")
        self.assertEqual(code, 2, err)

    def test_wake_takes_the_session_over(self):
        self.read_once()
        woken = self.gavel.ask("wake", "work")
        self.assertEqual(woken["epoch"], 2)
        self.assertEqual(woken["intents"][0]["tool"], "box__echo")
        with self.assertRaises(Refused) as refused:
            self.gavel.propose("work", "box__echo", {"text": "zombie"}, epoch=1)
        self.assertEqual(refused.exception.code, "stale_epoch")


class Running(CommandLine):
    def run_agent(self, *command, options=(), session="work"):
        return self.gavel.cli("run", "--session", session, *options, "--", *command)

    def test_the_agent_finds_its_way_in_its_environment(self):
        code, out, err = self.run_agent("env")
        self.assertEqual(code, 0, err)
        seen = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
        self.assertEqual((seen["GAVEL_SESSION"], seen["GAVEL_EPOCH"]), ("work", "1"))
        self.assertEqual(seen["GAVEL_URL"], self.gavel.url)
        self.assertIn("session=work&epoch=1", seen["GAVEL_MCP_URL"])
        self.assertEqual(seen["GAVEL_TOKEN"], self.gavel.token("agent"))
        self.assertNotIn(self.gavel.token("operator"), out)

    def test_running_again_takes_over_unless_it_joins(self):
        self.run_agent("true")
        _, out, _ = self.run_agent("printenv", "GAVEL_EPOCH")
        self.assertEqual(out, "2\n")
        _, out, _ = self.run_agent("printenv", "GAVEL_EPOCH", options=["--no-wake"])
        self.assertEqual(out, "2\n")

    def test_the_agents_exit_code_is_passed_on(self):
        self.assertEqual(self.run_agent("sh", "-c", "exit 7")[0], 7)
        self.assertEqual(self.run_agent("sh", "-c", "kill -9 $$")[0], 128 + 9)
        self.assertEqual(self.run_agent("no-such-program")[0], 127)

    def test_a_signal_reaches_the_agent(self):
        script = "import signal,sys; signal.signal(15, lambda *_: sys.exit(5)); print('up', flush=True); signal.pause()"
        child = subprocess.Popen(
            [*self.gavel.through("work"), sys.executable, "-c", script], stdout=subprocess.PIPE
        )
        self.assertEqual(child.stdout.readline(), b"up\n")
        child.terminate()
        self.assertEqual(child.wait(20), 5)
        child.stdout.close()

    def test_a_session_without_a_name_gets_one(self):
        code, out, err = self.gavel.cli("run", "--", "printenv", "GAVEL_SESSION")
        self.assertEqual(code, 0, err)
        self.assertRegex(out, r"^printenv-\d{8}-\d{6}-\d+\n$")


class Watching(CommandLine):
    def test_entries_come_as_json_while_they_are_appended(self):
        self.read_once()
        child = subprocess.Popen(
            self.gavel.command("watch", "work", "--json"), stdout=subprocess.PIPE, text=True
        )
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        seen = [json.loads(child.stdout.readline())]
        intent = self.hold()
        while seen[-1]["kind"] != "held":
            seen.append(json.loads(child.stdout.readline()))
        positions = [each["position"] for each in seen]
        self.assertEqual(positions, list(range(positions[0], positions[0] + len(positions))))
        self.assertEqual(f"work#{seen[-1]['intent']}", intent)

    def test_it_survives_a_restart_of_the_daemon(self):
        self.read_once()
        child = subprocess.Popen(
            self.gavel.command("watch", "work", "--json", "--quiet", "--url", self.gavel.url),
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        tail = len(self.gavel.entries("work"))
        for _ in range(tail):
            last = json.loads(child.stdout.readline())
        self.assertEqual(last["position"], tail)
        port = self.gavel.url.rsplit(":", 1)[1]
        self.gavel.kill()
        again = subprocess.Popen(
            [self.binary, "up", "--config", self.gavel.config, "--state", self.gavel.state,
             "--listen", f"127.0.0.1:{port}"],
            stderr=subprocess.DEVNULL,
        )
        self.addCleanup(again.wait)
        self.addCleanup(again.kill)
        wait_until(lambda: self.gavel.cli("sessions")[0] == 0, "the daemon is back")
        self.read_once()
        self.assertEqual(json.loads(child.stdout.readline())["position"], tail + 1)

    def test_a_terminal_shows_what_waits_with_its_time(self):
        terminal = self.terminal("watch")
        terminal.read_until("0 waiting")
        intent = self.hold()
        screen = terminal.read_until(re.escape(intent))
        terminal.read_until("1 waiting")
        self.assertIn("\x1b[", screen)
        terminal.stop()

    def test_a_terminal_follows_one_session_with_elapsed_time(self):
        self.read_once()
        terminal = self.terminal("watch", "work")
        terminal.read_until("outcome")
        self.hold()
        terminal.read_until(r"#\d+ box__append held \d")
        terminal.stop()


class Offline(CommandLine):
    def test_without_a_daemon_it_says_how_to_start_one(self):
        self.gavel.stop()
        for command in (["sessions"], ["approvals"], ["run", "--", "true"]):
            code, out, err = self.gavel.cli(*command)
            self.assertEqual((code, out), (8, ""), err)
            self.assertIn("gavel up", err)

    def test_a_store_in_use_is_not_verified(self):
        code, _, err = self.gavel.cli("verify")
        self.assertEqual(code, 8)
        self.assertIn("stop the daemon", err)

    def test_a_store_is_verified_against_a_checkpoint_that_was_kept(self):
        self.read_once()
        self.gavel.stop()
        kept = self.directory / "checkpoint.json"
        made = self.gavel.ask("checkpoint", kept)
        report = self.gavel.ask("verify", "--checkpoint", kept, "--key", made["public_key"])
        self.assertTrue(report["clean"], report)
        self.assertGreater(report["entries"], 3)
        code, _, err = self.gavel.cli("verify", "--checkpoint", kept, "--key", "0" * 64)
        self.assertEqual(code, 7, err)
        self.assertIn("clean", self.succeed("verify"))

    def test_a_changed_entry_is_found(self):
        self.gavel.propose("work", "box__echo", {"text": "needle-in-the-log"})
        self.gavel.stop()
        found = 0
        for file in (self.gavel.state / "store").rglob("*"):
            if file.is_file() and b"needle-in-the-log" in (data := file.read_bytes()):
                file.write_bytes(data.replace(b"needle-in-the-log", b"noodle-in-the-log"))
                found += 1
        self.assertGreater(found, 0)
        code, out, err = self.gavel.cli("verify")
        self.assertEqual(code, 9, err or out)

    def test_init_writes_what_up_accepts_and_keeps_what_is_there(self):
        (self.directory / ".mcp.json").write_text(
            json.dumps({"mcpServers": {"Box": {"command": "python3", "args": [str(HERE / "upstream.py")],
                                               "env": {"API_TOKEN": "very-secret"}}}})
        )
        environment = self.environment()
        def init(*more):
            return subprocess.run(
                [self.binary, "init", *more], cwd=self.directory, env=environment,
                capture_output=True, text=True,
            )
        first = init()
        self.assertEqual(first.returncode, 0, first.stderr)
        written = (self.directory / "gavel.yaml").read_text()
        self.assertNotIn("very-secret", written)
        self.assertIn("upstream.py", written)
        self.succeed("policy", "check", self.directory / "gavel.yaml")
        again = init()
        self.assertEqual(again.returncode, 4)
        self.assertIn("--force", again.stderr)
        self.assertEqual(init("--force").returncode, 0)


class Wrapping(EndToEnd):
    def test_the_wrapper_starts_a_daemon_where_none_runs(self):
        state = self.directory / "own"
        child = subprocess.Popen(
            [self.binary, "mcp", "--state", state, "--", sys.executable, HERE / "upstream.py"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "HOME": str(self.directory)},
        )
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.stderr.close)
        self.addCleanup(child.kill)
        initialize = {
            "jsonrpc": "2.0", "id": 1, "method": "initialize",
            "params": {"protocolVersion": "2025-11-25", "capabilities": {},
                       "clientInfo": {"name": "t", "version": "1"}},
        }
        child.stdin.write(json.dumps(initialize).encode() + b"\n")
        child.stdin.flush()
        timer = threading.Timer(60, child.kill)
        timer.start()
        line = child.stdout.readline()
        timer.cancel()
        record = json.loads((state / "daemon.json").read_text())
        self.addCleanup(wait_until, lambda: not os.path.exists(f"/proc/{record['pid']}"), "it ended")
        self.addCleanup(os.kill, record["pid"], signal.SIGTERM)
        self.assertEqual(json.loads(line)["id"], 1)
        self.assertNotEqual(os.getsid(record["pid"]), os.getsid(0))
        child.stdin.close()
        self.assertEqual(child.wait(20), 0)
        self.assertIn(b"gavel up", child.stderr.read())
        self.assertTrue(os.path.exists(f"/proc/{record['pid']}"), "the daemon stays")


if __name__ == "__main__":
    unittest.main()
