"""The world of the hostile suite: one daemon for each file of tests, callers with tokens of every
role, and an upstream whose effects stand in a file. After each attack an honest call is answered
within a second; at the end the store verifies, and the effects are those of honest calls alone."""

import json
import os
import re
import shutil
import socket
import sys
import tempfile
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "incidents"))

from lib.gavel import Gavel, Refused, find_binary  # noqa: E402, F401
from lib.mcp import LEGACY, MODERN, Client  # noqa: E402, F401

ROLES = ("driver", "voter", "decider", "executor", "observer", "approver", "admin")
HONEST_SECONDS = 1.0
CONFIG = """
servers:
  box:
    command: [python3, "@E2E@/upstream.py"]
    environment: {UPSTREAM_FILE: "@FILE@"}
    timeout: 5s
    tools:
      echo: {effect: read}
      append: {effect: write}
rules:
  - name: honest lines
    tools: ["box__append"]
    arguments: {type: object, properties: {text: {type: string, pattern: "^honest [0-9]+$"}}}
    verdict: allow
    reason: this is what honest callers do
"""


class Hostile(unittest.TestCase):
    """Attack in a test, then call honest(): tearDown does it too."""

    longMessage = True

    @classmethod
    def setUpClass(cls):
        cls.directory = Path(tempfile.mkdtemp(prefix="gavel-hostile-"))
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        cls.file = cls.directory / "effects"
        text = CONFIG.replace("@E2E@", str(ROOT / "tests/e2e")).replace("@FILE@", str(cls.file))
        cls.gavel = Gavel(find_binary(ROOT), cls.directory / "gavel", text).start()
        cls.addClassCleanup(cls.gavel.stop)
        for role in ROLES:
            cls.add_token(f"{role}-token", role, [role])
        cls.add_token("second-agent", "mallory", ["driver"])
        cls.calls = 0
        cls.expected = []
        # The first call starts the upstream; the others are timed.
        cls("runTest").honest(seconds=30)

    @classmethod
    def tearDownClass(cls):
        cls("runTest").check_ledger()

    def runTest(self):
        """For the helpers, outside of a test."""

    def tearDown(self):
        self.honest()

    # --- callers ---
    @classmethod
    def add_token(cls, file, principal, roles):
        token = f"gavel_{os.urandom(24).hex()}"
        path = cls.gavel.state / "tokens" / f"{file}.json"
        written = path.with_suffix(".new")
        written.touch(mode=0o600)
        written.write_text(json.dumps({"principal": principal, "roles": roles, "token": token}))
        written.rename(path)
        # Right after a token that was not known, the daemon does not look at once.
        time.sleep(0.1)
        return token

    def token(self, name):
        return self.gavel.token(name)

    def client(self, session=None, role="agent", epoch=None):
        url = f"{self.gavel.url}/mcp"
        if session is not None:
            url = self.gavel.mcp_url(session, epoch)
        return Client(url, self.token(role), timeout=10)

    def refused(self, method, path, body=None, role="agent", statuses=(400, 403, 404, 409)):
        """The error of a request that must be refused."""
        with self.assertRaises(Refused, msg=f"{method} {path} {body}") as caught:
            self.gavel.api(method, path, body, role, timeout=10)
        self.assertIn(caught.exception.status, statuses, caught.exception)
        self.assertTrue(caught.exception.message or caught.exception.body)
        return caught.exception

    def held(self, session, text):
        """A call that waits for a person: (intent, digest)."""
        answer = self.gavel.propose(session, "box__append", {"text": text}, wait_ms=0)
        pending = [p for p in self.gavel.pending(session) if p["intent"] == answer["intent"]]
        self.assertEqual(len(pending), 1, answer)
        return answer["intent"], pending[0]["digest"]

    # --- what must hold ---
    def honest(self, seconds=HONEST_SECONDS):
        """An honest write is answered in time, once, whatever came before."""
        type(self).calls += 1
        line = f"honest {self.calls}"
        began = time.monotonic()
        answer = self.gavel.propose("honest", "box__append", {"text": line}, wait_ms=10_000)
        took = time.monotonic() - began
        self.assertEqual(answer["kind"], "result", answer)
        self.assertLess(took, seconds, "the honest caller had to wait")
        self.expected.append(line)
        self.assertEqual(self.effects(), self.expected)

    def effects(self):
        return self.file.read_text().splitlines() if self.file.exists() else []

    def check_ledger(self):
        """Offline: every log verifies, and nothing happened that no honest caller asked for."""
        self.gavel.stop()
        code, out, err = self.gavel.cli("verify")
        self.assertEqual(code, 0, out + err)
        self.assertEqual(self.effects(), self.expected)

    # --- bytes ---
    def raw(self, data, seconds=5, parts=()):
        """What comes back for these bytes until the daemon closes, or says nothing more."""
        host, port = self.gavel.url.removeprefix("http://").split(":")
        found = b""
        with socket.create_connection((host, int(port)), timeout=seconds) as connection:
            try:
                connection.sendall(data)
                for part in parts:
                    connection.sendall(part)
                connection.shutdown(socket.SHUT_WR)
                while chunk := connection.recv(65536):
                    found += chunk
            except (ConnectionResetError, BrokenPipeError, TimeoutError):
                pass
        return found

    def head(self, *lines, role="agent", target="POST /mcp", host=True, version="HTTP/1.1"):
        """The head of a request with a good token, and these lines."""
        start = [f"{target} {version}"]
        if host:
            start.append(f"Host: {self.gavel.url.removeprefix('http://')}")
        if role:
            start.append(f"Authorization: Bearer {self.token(role)}")
        return "\r\n".join([*start, *lines, "", ""]).encode()


def statuses(answer):
    """The status of each answer in what came back."""
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)]
