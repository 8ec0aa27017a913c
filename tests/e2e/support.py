"""What every end-to-end test has: the real binary, a directory of its own, and an upstream whose
effects stand in a file."""

import os
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "incidents"))

from lib.gavel import Gavel, Refused, find_binary  # noqa: E402, F401
from lib.mcp import LEGACY, MODERN, Client  # noqa: E402, F401
from lib.process import Process, wait_until  # noqa: E402, F401

CONFIG = """
servers:
  box:
    command: [python3, "@HERE@/upstream.py"]
    environment: {UPSTREAM_FILE: "@FILE@"}
    timeout: 2s
    tools:
      echo: {effect: read}
      lines: {effect: read}
      sleep: {effect: read}
      die: {effect: read}
      flood: {effect: read}
      garbage: {effect: read}
      strangers: {effect: read}
      fail: {effect: read}
      progress: {effect: read}
      meta: {effect: read}
      count: {effect: read}
      append: {effect: write}
      append_slowly: {effect: write}
      append_and_die: {effect: write}
rules:
  - name: lines may be appended
    tools: ["box__append*"]
    verdict: allow
    reason: this is what the tests do
"""


class EndToEnd(unittest.TestCase):
    """setUp gives self.directory, self.file (the effects); start() a daemon."""

    longMessage = True

    @classmethod
    def setUpClass(cls):
        cls.binary = find_binary(ROOT)

    def setUp(self):
        self.directory = Path(tempfile.mkdtemp(prefix="gavel-e2e-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.file = self.directory / "effects"

    def config(self, text=CONFIG):
        return text.replace("@HERE@", str(HERE)).replace("@FILE@", str(self.file))

    def daemon(self, text=CONFIG, name="gavel"):
        daemon = Gavel(self.binary, self.directory / name, self.config(text))
        self.addCleanup(daemon.stop)
        return daemon

    def start(self, text=CONFIG):
        return self.daemon(text).start()

    def client(self, gavel, session=None, epoch=None, query="", **options):
        url = f"{gavel.url}/mcp{query}"
        if session is not None:
            url = gavel.mcp_url(session, epoch)
        return Client(url, gavel.token("agent"), **options)

    def effects(self):
        """The lines that the upstream really wrote."""
        try:
            return self.file.read_text().splitlines()
        except OSError:
            return []

    def run_program(self, command, environment=None, timeout=60):
        process = Process(
            command,
            log=self.directory / f"program-{os.urandom(4).hex()}",
            environment={
                "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
                "HOME": str(self.directory),
                **(environment or {}),
            },
            directory=self.directory,
        )
        self.addCleanup(process.kill)
        process.wait(timeout)
        return process
