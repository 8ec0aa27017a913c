"""`gavel mcp -- command`: the drop-in wrapper, as a client sees it that speaks over stdio."""

import json
import os
import signal
import subprocess
import sys
import threading
import unittest
from queue import Empty, Queue

from support import HERE, LEGACY, MODERN, EndToEnd, wait_until

# Nothing is known of the servers that clients wrap here, but that they may echo.
CONFIG = """
defaults: {two_step_delay: 1s}
rules:
  - name: echoes
    tools: ["*__echo"]
    verdict: allow
    reason: an echo harms nobody
"""


class Wrapper:
    """A child that speaks newline-delimited JSON-RPC."""

    def __init__(self, command, environment, directory):
        self._child = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=directory,
            start_new_session=True,
        )
        self._lines = Queue()
        self.raw = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._child.stdout:
            self.raw.append(line)
            self._lines.put(line)

    def send(self, message):
        self._child.stdin.write(json.dumps(message).encode() + b"\n")
        self._child.stdin.flush()

    def ask(self, number, method, params=None, timeout=30):
        message = {"jsonrpc": "2.0", "id": number, "method": method}
        if params is not None:
            message["params"] = params
        self.send(message)
        while True:
            try:
                answer = json.loads(self._lines.get(timeout=timeout))
            except Empty:
                self._child.kill()
                raise TimeoutError(f"no answer to {method}: {self._child.stderr.read()}") from None
            if answer.get("id") == number:
                return answer

    def initialize(self):
        answer = self.ask(
            "init",
            "initialize",
            {
                "protocolVersion": LEGACY,
                "capabilities": {},
                "clientInfo": {"name": "stdio-test", "version": "1"},
            },
        )
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return answer

    def close(self):
        """Closes standard input, as a client that ends; the exit code."""
        self._child.stdin.close()
        try:
            return self._child.wait(15)
        except subprocess.TimeoutExpired:
            self._child.kill()
            raise

    def kill(self):
        self._child.kill()
        self._child.wait(10)
        self._child.stdout.close()
        self._child.stderr.close()


class Stdio(EndToEnd):
    def setUp(self):
        super().setUp()
        self.gavel = self.start(CONFIG)

    def wrapper(self, *command, options=(), effects=None):
        environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(self.directory),
            "UPSTREAM_FILE": str(effects or self.file),
        }
        wrapper = Wrapper(
            [self.binary, "mcp", "--state", self.gavel.state, *options, "--", *command],
            environment,
            self.directory,
        )
        self.addCleanup(wrapper.kill)
        return wrapper

    def box(self, **more):
        return self.wrapper(sys.executable, HERE / "upstream.py", **more)

    def test_a_client_of_the_handshake_line_works(self):
        box = self.box()
        self.assertEqual(box.initialize()["result"]["protocolVersion"], LEGACY)
        tools = box.ask(2, "tools/list")["result"]["tools"]
        echo = next(each["name"] for each in tools if each["name"].endswith("echo"))
        answer = box.ask(3, "tools/call", {"name": echo, "arguments": {"text": "through stdio"}})
        self.assertIn("through stdio", json.dumps(answer["result"]))

    def test_a_client_of_the_stateless_line_works(self):
        box = self.box()
        meta = {
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientCapabilities": {},
            }
        }
        answer = box.ask(1, "server/discover", meta)
        self.assertIn(MODERN, answer["result"]["supportedVersions"])
        tools = box.ask(2, "tools/list", meta)["result"]["tools"]
        self.assertTrue(tools)

    def test_nothing_but_messages_is_written(self):
        box = self.box()
        box.initialize()
        box.ask(2, "tools/list")
        for line in box.raw:
            json.loads(line)

    def test_an_unlisted_write_is_held_and_can_be_approved(self):
        box = self.box()
        box.initialize()
        tools = box.ask(2, "tools/list")["result"]["tools"]
        append = next(each["name"] for each in tools if each["name"].endswith("append"))
        answers = Queue()
        threading.Thread(
            target=lambda: answers.put(
                box.ask(3, "tools/call", {"name": append, "arguments": {"text": "asked"}}, 60)
            ),
            daemon=True,
        ).start()
        held = wait_until(self.gavel.pending, "the call is held")[0]
        self.assertEqual(self.effects(), [])
        code, out, err = self.gavel.cli(
            "deny", f"{held['session']}#{held['intent']}", "--reason", "not today"
        )
        self.assertEqual(code, 0, err or out)
        answer = answers.get(timeout=30)
        self.assertTrue(answer["result"]["isError"])
        self.assertIn("not today", json.dumps(answer))
        self.assertEqual(self.effects(), [])

    def test_the_server_ends_with_its_client(self):
        box = self.box()
        box.initialize()
        pids = [each["pid"] for each in self.gavel.api("GET", "/v1/upstreams")["upstreams"]]
        self.assertEqual(len(pids), 1, pids)
        self.assertEqual(box.close(), 0)
        wait_until(
            lambda: not self.gavel.api("GET", "/v1/upstreams")["upstreams"],
            "the server is detached",
            15,
        )
        wait_until(lambda: not os.path.exists(f"/proc/{pids[0]}"), "the server is gone", 15)

    def test_two_windows_of_one_client_work_side_by_side(self):
        files = [self.directory / name for name in ("left", "right")]
        left, right = (self.box(options=("--name", "files"), effects=file) for file in files)
        for window in (left, right):
            window.initialize()
            names = [tool["name"] for tool in window.ask(2, "tools/list")["result"]["tools"]]
            self.assertIn("append", names)
        upstreams = self.gavel.api("GET", "/v1/upstreams")["upstreams"]
        self.assertEqual(len({each["pid"] for each in upstreams}), 2, upstreams)
        sessions = [each["name"].removeprefix("files@") for each in upstreams]

        # A held call acts in the window that asked for it, under the one name that people know.
        for number, window in enumerate((left, right)):
            arguments = {"name": "append", "arguments": {"text": f"by {number}"}}
            window.send({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": arguments})
        held = wait_until(
            lambda: self.gavel.pending() if len(self.gavel.pending()) == 2 else None,
            "both calls are held",
        )
        self.assertEqual({each["tool"] for each in held}, {"files__append"})
        self.assertEqual({each["session"] for each in held}, set(sessions))
        for each in held:
            code, _, err = self.gavel.cli(
                "approve", f"{each['session']}#{each['intent']}", "--yes", "--reason", "go on"
            )
            self.assertEqual(code, 0, err)
        for number, file in enumerate(files):
            wait_until(file.exists, "the call was done")
            self.assertEqual(file.read_text(), f"by {number}\n")

        # One window closes; the other goes on.
        self.assertEqual(left.close(), 0)
        wait_until(
            lambda: len(self.gavel.api("GET", "/v1/upstreams")["upstreams"]) == 1,
            "one server is left",
            15,
        )
        answer = right.ask(4, "tools/call", {"name": "echo", "arguments": {"text": "still here"}})
        self.assertIn("still here", json.dumps(answer["result"]))
        self.assertEqual(right.close(), 0)

    def test_bad_lines_are_answered_and_survived(self):
        box = self.box()
        box.initialize()
        box._child.stdin.write(b"this is no json\n")
        box._child.stdin.flush()
        tools = box.ask(2, "tools/list")["result"]["tools"]
        self.assertTrue(tools)

    def test_where_no_daemon_runs_one_is_started(self):
        self.gavel.stop()
        state = self.directory / "fresh"
        program = self.run_program(
            [self.binary, "mcp", "--state", state, "--", sys.executable, HERE / "upstream.py"]
        )
        self.assertEqual(program.code(), 0, program.tail())
        daemon = json.loads((state / "daemon.json").read_text())
        self.addCleanup(_end, daemon["pid"])
        asked = self.run_program([self.binary, "sessions", "--state", state, "--json"])
        self.assertEqual(asked.code(), 0, asked.tail())


def _end(pid):
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "the daemon ended", 20)


if __name__ == "__main__":
    unittest.main()
