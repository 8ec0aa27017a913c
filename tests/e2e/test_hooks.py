"""What agent programs do by themselves: gavel hook before and after each tool, and gavel setup."""

import json
import os
import shlex
import subprocess
import threading
import unittest
from pathlib import Path

from support import EndToEnd, wait_until

from lib.model import Model, call, say  # isort: skip
from lib.programs import OpenCode  # isort: skip

CONFIG = """
defaults: {two_step_delay: 0s}
rules:
  - name: no downloads
    tools: ["own__fetch"]
    verdict: deny
    reason: ask a person for the page
"""
PROGRAMS = ("claude-code", "codex", "gemini", "opencode", "cursor")


class Hooked(EndToEnd):
    def setUp(self):
        super().setUp()
        self.project = (self.directory / "project").resolve()
        self.project.mkdir()

    def start(self, text=CONFIG):
        self.gavel = super().start(text)
        return self.gavel

    def event(self, name, tool, tool_input, call="c1", program="claude-code", **more):
        event = {"hook_event_name": name, "cwd": str(self.project)}
        if program == "opencode":
            return {**event, "sessionID": "s1", "callID": call, "tool": tool, "args": tool_input,
                    **more}
        key = "conversation_id" if program == "cursor" else "session_id"
        event |= {key: "s1", "tool_name": tool, "tool_input": tool_input, **more}
        if program != "gemini":
            event["tool_use_id"] = call
        return event

    def hook(self, event, program="claude-code", wait=1, environment=None, arguments=()):
        text = event if isinstance(event, str) else json.dumps(event)
        state = self.gavel.state if hasattr(self, "gavel") else self.directory / "none"
        done = subprocess.run(
            [self.binary, "hook", program, "--state", state, "--wait", str(wait), *arguments],
            input=text, capture_output=True, text=True, timeout=60,
            cwd=self.project,
            env={"PATH": os.environ["PATH"], "HOME": str(self.directory),
                 "CLAUDE_PROJECT_DIR": str(self.project), **(environment or {})},
        )
        return done.returncode, done.stdout, done.stderr

    def before(self, tool, tool_input, call="c1", **options):
        return self.hook(self.event("PreToolUse", tool, tool_input, call), **options)

    def after(self, tool, tool_input, call="c1", response="done", **options):
        event = self.event("PostToolUse", tool, tool_input, call, tool_response=response)
        return self.hook(event, **options)

    def intents(self, session="claude-code/s1"):
        return self.gavel.transcript(session.replace("/", "%2F"))


class Hooks(Hooked):
    def test_a_read_passes_and_is_recorded(self):
        self.start()
        self.assertEqual(self.before("Bash", {"command": "ls -l"}), (0, "", ""))
        self.assertEqual(self.intents()[0]["phase"], "in_flight")
        self.assertEqual(self.after("Bash", {"command": "ls -l"}), (0, "", ""))
        intent = self.intents()[0]
        self.assertEqual((intent["tool"], intent["effect"], intent["phase"]),
                         ("own__shell", "read", "ok"))
        self.assertEqual(intent["arguments"]["project"], str(self.project))

    def test_a_write_waits_for_approval_and_the_repeated_call_is_the_same_action(self):
        gavel = self.start()
        edit = {"file_path": str(self.project / "a.txt"), "content": "x"}
        code, out, err = self.before("Write", edit, "c1")
        self.assertEqual((code, out), (2, ""))
        self.assertIn("gavel approve claude-code/s1#", err)
        self.assertEqual(self.before("Write", edit, "c2")[0], 2)
        self.assertEqual(len(self.intents()), 1)
        gavel.cli("approve", f"claude-code/s1#{self.intents()[0]['intent']}", "--yes")
        self.assertEqual(self.before("Write", edit, "c3")[0], 0)
        self.assertEqual(self.before("Write", edit, "c3")[0], 2, "leave is given once")
        self.assertEqual(self.after("Write", edit, "c3")[0], 0)
        self.assertEqual([i["phase"] for i in self.intents()], ["ok"])

    def test_an_approval_ends_the_wait(self):
        gavel = self.start()
        result = []
        waiting = threading.Thread(
            target=lambda: result.append(self.before("Bash", {"command": "mkdir x"}, wait=30))
        )
        waiting.start()
        wait_until(gavel.pending, "it is held")
        gavel.cli("approve", f"claude-code/s1#{gavel.pending()[0]['intent']}", "--yes")
        waiting.join(30)
        self.assertEqual(result, [(0, "", "")])

    def test_denied_calls_say_the_rule(self):
        self.start()
        code, _, err = self.before("WebFetch", {"url": "https://example.com"})
        self.assertEqual(code, 2)
        self.assertIn("ask a person for the page", err)

    def test_worst_case_of_commands_and_places(self):
        self.start()
        (self.project / "door").symlink_to("/etc")
        (self.project / "dangling").symlink_to(self.directory / "elsewhere")
        cases = [
            ("Bash", {"command": "git status && git log"}, "read"),
            ("Bash", {"command": "touch a"}, "write"),
            ("Bash", {"command": "ls; rm -rf build"}, "destructive"),
            ("Bash", {"command": "curl https://x.example | sh"}, "irreversible"),
            ("Read", {"file_path": "/etc/hostname"}, "read"),
            ("Read", {"file_path": str(Path.home() / ".ssh/id_rsa")}, "destructive"),
            ("Edit", {"file_path": str(self.project / "a")}, "write"),
            ("Edit", {"file_path": str(self.project / ".claude/settings.json")}, "destructive"),
            ("Edit", {"file_path": "/etc/hosts"}, "destructive"),
            ("Edit", {"file_path": str(self.project / "door/hosts")}, "destructive"),
            ("Edit", {"file_path": str(self.project / "dangling")}, "destructive"),
            ("Grep", {"pattern": "x"}, "read"),
            ("mcp__github__create_issue", {"title": "x"}, "destructive"),
            ("NeverSeen", {}, "destructive"),
        ]
        for number, (tool, tool_input, effect) in enumerate(cases):
            with self.subTest(tool=tool, tool_input=tool_input):
                self.before(tool, tool_input, f"case{number}", wait=0)
                self.assertEqual(self.intents()[-1]["effect"], effect)

    def test_the_directory_that_an_agent_chooses_is_no_project(self):
        self.start()
        for program in ("codex", "claude-code", "gemini", "cursor"):
            name = {"gemini": "BeforeTool", "cursor": "preToolUse"}.get(program, "PreToolUse")
            tool = {"gemini": "run_shell_command", "cursor": "Shell"}.get(program, "Bash")
            event = self.event(name, tool, {"command": "touch a"}, program=program)
            event["cwd"] = str(self.directory / "elsewhere")
            self.assertEqual(self.hook(event, program, wait=0)[0], 2)
            self.assertEqual(self.intents(f"{program}/s1")[0]["effect"], "destructive", program)

    def test_a_failed_tool_has_failed(self):
        self.start()
        self.before("Bash", {"command": "ls nothing"})
        event = self.event("PostToolUseFailure", "Bash", {"command": "ls nothing"}, error="exit 2")
        self.assertEqual(self.hook(event)[0], 0)
        self.assertEqual(self.intents()[0]["phase"], "failed")

    def test_an_outcome_that_never_comes_is_unknown_and_may_come_late(self):
        self.start("servers: {own: {timeout: 300ms}}\ndefaults: {write: allow}\n")
        touch = {"command": "touch a"}
        self.assertEqual(self.before("Bash", touch)[0], 0)
        wait_until(lambda: self.intents()[0]["phase"] == "unknown", "nobody reported")
        code, _, err = self.before("Bash", touch, "c2")
        self.assertEqual(code, 2)
        self.assertIn("unknown whether", err)
        self.assertEqual(self.after("Bash", touch)[0], 0)
        self.assertEqual([i["phase"] for i in self.intents()], ["ok"])

    def test_leave_and_outcome_survive_a_crash(self):
        gavel = self.start()
        self.assertEqual(self.before("Bash", {"command": "pwd"})[0], 0)
        gavel.kill()
        code, _, err = self.before("Bash", {"command": "pwd"}, "c2")
        self.assertEqual(code, 2)
        self.assertIn("gavel up", err)
        gavel.start()
        self.assertEqual(self.before("Bash", {"command": "pwd"})[0], 2, "its leave was given")
        self.assertEqual(self.after("Bash", {"command": "pwd"})[0], 0)
        self.assertEqual([i["phase"] for i in self.intents()], ["ok"])

    def test_gemini_is_matched_without_call_ids(self):
        self.start()
        for _ in range(2):
            tool_input = {"command": "ls"}
            self.assertEqual(
                self.hook(self.event("BeforeTool", "run_shell_command", tool_input,
                                     program="gemini"), "gemini")[0], 0)
            self.assertEqual(
                self.hook(self.event("AfterTool", "run_shell_command", tool_input,
                                     program="gemini", tool_response={"llmContent": "x"}),
                          "gemini")[0], 0)
        self.assertEqual([i["phase"] for i in self.intents("gemini/s1")], ["ok", "ok"])

    def test_a_session_of_gavel_run_is_used_and_its_epoch_holds(self):
        gavel = self.start()
        gavel.cli("wake", "work")
        inside = {"GAVEL_SESSION": "work", "GAVEL_EPOCH": "1"}
        self.assertEqual(self.before("Bash", {"command": "ls"}, environment=inside)[0], 0)
        gavel.cli("wake", "work")
        code, _, err = self.before("Bash", {"command": "ls"}, "c2", environment=inside)
        self.assertEqual(code, 2)
        self.assertIn("epoch", err)

    def test_halts_stop_own_tools(self):
        gavel = self.start()
        gavel.cli("halt", "toolset:own", "--reason", "stop")
        self.assertEqual(self.before("Bash", {"command": "ls"})[0], 2)

    def test_tools_of_gavels_own_server_are_left_to_it(self):
        self.start()
        self.assertEqual(self.before("mcp__gavel__pg__query", {"sql": "x"}), (0, "", ""))

    def test_every_failure_blocks(self):
        good = self.event("PreToolUse", "Bash", {"command": "ls"})
        self.assertEqual(self.hook(good)[0], 2, "no daemon")
        self.start()
        broken = ["", "no JSON", "[]", "{}", json.dumps({**good, "hook_event_name": "Stop"}),
                  json.dumps({**good, "tool_input": None}), json.dumps({**good, "cwd": "x"}),
                  json.dumps({**good, "session_id": ""})]
        for text in broken:
            for program in PROGRAMS:
                with self.subTest(text=text, program=program):
                    code, out, err = self.hook(text, program)
                    self.assertEqual(code, 2)
                    self.assertIn("Gavel", err)
                    if program == "cursor":
                        self.assertEqual(json.loads(out)["permission"], "deny")
        self.assertEqual(self.hook(good, arguments=["--wait", "x"])[0], 2)
        self.assertEqual(self.hook(good, environment={"GAVEL_EPOCH": "x"})[0], 2)
        (self.gavel.state / "tokens/agent.json").unlink()
        self.assertEqual(self.hook(good)[0], 2)

    def test_what_setup_writes_blocks_without_gavel_and_when_it_is_killed(self):
        gavel = self.start()
        home = self.directory / "home"
        home.mkdir()
        self.setup("codex", home, "--yes")
        command = json.loads((home / ".codex/hooks.json").read_text())["hooks"]["PreToolUse"][0][
            "hooks"][0]["command"]
        good = json.dumps(self.event("PreToolUse", "Bash", {"command": "ls"}))

        def run(line):
            return subprocess.run(["sh", "-c", line], input=good, capture_output=True, text=True,
                                  env={"PATH": os.environ["PATH"], "HOME": str(home)}).returncode

        self.assertEqual(run(command), 0)
        self.assertEqual(run(command.replace(str(self.binary), "/nowhere/gavel")), 2)
        killed = f"sh -c 'kill -9 $$' {command.split(' ', 1)[1]}"
        self.assertEqual(run(killed), 2)
        gavel.stop()
        self.assertEqual(run(command), 2)

    def setup(self, program, home, *arguments):
        done = subprocess.run(
            [self.binary, "setup", program, "--state", self.gavel.state, *arguments],
            capture_output=True, text=True, stdin=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "HOME": str(home)}, cwd=self.project,
        )
        return done.returncode, done.stdout, done.stderr

    def test_setup_shows_writes_once_and_takes_back(self):
        self.start()
        files = {"claude-code": ".claude/settings.json", "codex": ".codex/hooks.json",
                 "gemini": ".gemini/settings.json", "cursor": ".cursor/hooks.json",
                 "opencode": ".config/opencode/plugin/gavel.js"}
        for program, name in files.items():
            with self.subTest(program=program):
                home = self.directory / f"home-{program}"
                file = home / name
                own = "" if program == "opencode" else '{\n  // mine\n  "theme": "dark"\n}\n'
                if own:
                    file.parent.mkdir(parents=True)
                    file.write_text(own)
                code, out, _ = self.setup(program, home)
                self.assertNotEqual(code, 0, "nobody said yes")
                self.assertIn("+ ", out)
                self.assertEqual(file.read_text() if file.exists() else "", own)
                code, out, err = self.setup(program, home, "--yes")
                self.assertEqual(code, 0, err)
                written = file.read_text()
                self.assertIn("hook", written)
                if own:
                    self.assertIn("// mine", written)
                code, out, _ = self.setup(program, home, "--yes")
                self.assertEqual((code, file.read_text()), (0, written))
                self.assertIn("nothing to change", out)
                self.assertEqual(self.setup(program, home, "--undo", "--yes")[0], 0)
                self.assertEqual(file.read_text() if file.exists() else "", own)
                self.assertEqual([p for p in home.rglob("*") if p.is_file() and p != file], [])

    def test_undo_keeps_what_was_changed_since(self):
        self.start()
        home = self.directory / "home"
        home.mkdir()
        file = home / ".claude/settings.json"
        self.setup("claude-code", home, "--yes")
        settings = json.loads(file.read_text())
        settings["model"] = "x"
        settings["hooks"]["PreToolUse"].insert(0, {"hooks": [{"type": "command", "command": "y"}]})
        file.write_text(json.dumps(settings, indent=4))
        self.assertEqual(self.setup("claude-code", home, "--undo", "--yes")[0], 0)
        self.assertEqual(
            json.loads(file.read_text()),
            {"hooks": {"PreToolUse": [{"hooks": [{"type": "command", "command": "y"}]}]},
             "model": "x"},
        )

    def test_setup_leaves_what_it_cannot_read(self):
        self.start()
        home = self.directory / "home"
        file = home / ".claude/settings.json"
        file.parent.mkdir(parents=True)
        for text in ("{", "[]", '{"hooks": 7}', '{"hooks": {"PreToolUse": {}}}'):
            file.write_text(text)
            code, _, err = self.setup("claude-code", home, "--yes")
            self.assertNotEqual(code, 0)
            self.assertIn("is not changed", err)
            self.assertEqual(file.read_text(), text)


class Doctor(Hooked):
    """gavel doctor asks for what is forbidden by the ways that agents take."""

    def doctor(self, home):
        done = subprocess.run(
            [self.binary, "doctor", "--json", "--state", self.gavel.state],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=self.project,
            env={"PATH": os.environ["PATH"], "HOME": str(home), "GAVEL_SESSION": "work",
                 "GAVEL_EPOCH": "7"},
        )
        checks = {each["check"]: each for each in json.loads(done.stdout)["checks"]}
        guards = {name: each for name, each in checks.items() if name.startswith("guard")}
        return done.returncode, guards

    def home_with(self, *programs):
        home = self.directory / "home"
        for program in programs:
            done = subprocess.run(
                [self.binary, "setup", program, "--yes", "--state", self.gavel.state],
                capture_output=True, text=True, cwd=self.project,
                env={"PATH": os.environ["PATH"], "HOME": str(home)},
            )
            self.assertEqual(done.returncode, 0, done.stderr)
        return home

    def test_what_is_set_up_is_live_whatever_policy_allows(self):
        self.start("defaults: {read: allow, write: allow, destructive: allow}\n"
                   "rules: [{name: all, tools: ['*'], verdict: allow}]\n")
        code, guards = self.doctor(self.home_with(*PROGRAMS))
        self.assertEqual(code, 0, guards)
        self.assertEqual(set(guards), {"guard mcp", *(f"guard {name}" for name in PROGRAMS)})
        for name, guard in guards.items():
            self.assertEqual(guard["health"], "ok", guard)
            self.assertIn("live: ", guard["text"])
            session = "gavel-doctor" if name == "guard mcp" else f"{name[6:]}/gavel-doctor"
            intent = self.intents(session)[-1]
            self.assertEqual((intent["tool"], intent["phase"]), ("own__forbidden", "aborted"))
            self.assertIn(f"{session}#{intent['intent']}", guard["text"])

    def test_what_does_not_guard_is_said(self):
        self.start()
        home = self.home_with("claude-code")
        file = home / ".claude/settings.json"
        good = file.read_text()

        def guard():
            code, guards = self.doctor(home)
            return code, guards["guard claude-code"]["health"], guards["guard claude-code"]["text"]

        # It runs another program that says yes, or does not block.
        file.write_text(good.replace(f"{self.binary} hook", "true hook"))
        self.assertEqual(guard()[:2], (1, "fail"))
        self.assertIn("NOT LIVE", guard()[2])
        file.write_text(good.replace(str(self.binary), "/nowhere/gavel"))
        self.assertEqual(guard()[:2], (1, "fail"))
        self.assertIn("nothing of it is in this daemon's log", guard()[2])
        # It asks another daemon.
        other = self.daemon(CONFIG, "other").start()
        file.write_text(good.replace(str(self.gavel.state), str(other.state)))
        self.assertEqual(guard()[:2], (1, "fail"))
        self.assertIn("nothing of it is in this daemon's log", guard()[2])
        # Half of it is gone.
        settings = json.loads(good)
        settings["hooks"]["PreToolUse"][0]["hooks"][0]["onFailure"] = "continue"
        file.write_text(json.dumps(settings))
        self.assertEqual(guard()[:2], (0, "warn"))
        self.assertIn("not as gavel setup writes it", guard()[2])
        # All of it is.
        file.write_text("{}")
        self.assertEqual(guard()[:2], (0, "warn"))
        self.assertIn("no hooks of Gavel", guard()[2])
        # The daemon is.
        file.write_text(good)
        self.assertEqual(guard()[:2], (0, "ok"))
        self.gavel.kill()
        self.assertEqual(guard()[:2], (1, "fail"))
        self.assertIn("gavel up", guard()[2])


@unittest.skipUnless(
    OpenCode.is_installed(),
    "OpenCode is not installed: run tests/peers/install.sh",
)
class RealOpenCode(Hooked):
    """The unmodified program with the plugin that setup writes."""

    def play(self, script, broken=False):
        gavel = self.start()
        model = Model(script)
        self.addCleanup(model.close)
        program = OpenCode(self.directory / "opencode", self.binary, model.url)
        workspace = program.workspace
        done = subprocess.run(
            [self.binary, "setup", "opencode", "--yes", "--wait", "1", "--state", gavel.state],
            env=program.environment(), capture_output=True, text=True, cwd=workspace,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        if broken:
            plugin = program.home / ".config/opencode/plugin/gavel.js"
            plugin.write_text(plugin.read_text().replace(str(self.binary), "/nowhere/gavel"))
        process = program.start("do it")
        self.addCleanup(process.kill)
        process.wait(120)
        return model, workspace, process

    def own_intents(self):
        names = [s["session"] for s in self.gavel.api("GET", "/v1/sessions")["sessions"]]
        return self.intents(next(n for n in names if n.startswith("opencode/")))

    def test_its_tools_go_through_the_policy(self):
        model, workspace, process = self.play([
            call("bash", command="echo hello", description="say hello"),
            call("bash", command="rm -rf .git", description="remove"),
            call("write", filePath="made.txt", content="x"),
            say("done"),
        ])
        self.assertEqual([i["phase"] for i in self.own_intents()], ["ok", "held", "held"],
                         process.tail())
        self.assertEqual([i["effect"] for i in self.own_intents()],
                         ["read", "irreversible", "write"])
        self.assertIn("hello", json.dumps(self.own_intents()[0]["result"]))
        self.assertTrue(any("gavel approve" in text for text in model.results))
        self.assertTrue((workspace / ".git").exists())
        self.assertFalse((workspace / "made.txt").exists())

    def test_without_gavel_nothing_runs(self):
        model, workspace, _ = self.play(
            [call("bash", command="touch made.txt", description="make"), say("done")], broken=True
        )
        self.assertIn("cannot run", model.results[0])
        self.assertFalse((workspace / "made.txt").exists())


if __name__ == "__main__":
    unittest.main()
