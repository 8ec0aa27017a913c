"""The real gavel binary: start it, kill it, talk to it by its command line and its HTTP API."""

import json
import os
import re
import signal
import subprocess
import urllib.parse
from pathlib import Path

from .mcp import connect
from .process import Process, wait_until

_REPORT = re.compile(r"ERROR: \w+Sanitizer|runtime error:|WARNING: ThreadSanitizer")


class Refused(Exception):
    """An answer of the API that is not 2xx."""

    def __init__(self, status, body):
        super().__init__(f"HTTP {status}: {body}")
        self.status = status
        self.body = body
        error = body.get("error", {}) if isinstance(body, dict) else {}
        self.code = error.get("code", "")
        self.message = error.get("message", "")


def find_binary(root, given=None):
    """--binary, GAVEL_BINARY, or the newest build; FileNotFoundError says how to make one."""
    for chosen in (given, os.environ.get("GAVEL_BINARY")):
        if chosen:
            if not os.access(chosen, os.X_OK):
                raise FileNotFoundError(f"{chosen} is no program")
            return Path(chosen).resolve()
    built = [
        path for path in Path(root, "build").glob("*/src/app/gavel") if os.access(path, os.X_OK)
    ]
    preferred = [path for path in built if path.parts[-4] == "release"]
    if not built:
        raise FileNotFoundError("no gavel was built yet; run ./dev build, or give --binary PATH")
    return (preferred or sorted(built, key=lambda path: path.stat().st_mtime))[-1].resolve()


class Gavel:
    """One daemon over one state directory. start(), kill() and start() again as you like.
    `tls` is the ssl.SSLContext that its clients here use, where its configuration has TLS."""

    def __init__(self, binary, directory, config, listen="127.0.0.1:0", tls=None):
        self.binary = str(binary)
        self.directory = Path(directory)
        self.directory.mkdir(parents=True)
        self.state = self.directory / "state"
        self.config = self.directory / "gavel.yaml"
        self.config.write_text(config)
        self.listen = listen
        self.tls = tls
        self.process = None
        self.url = None
        self._starts = 0

    # --- life ---
    def start(self, timeout=30):
        self._starts += 1
        announcement = self.state / "daemon.json"
        announcement.unlink(missing_ok=True)
        self.process = Process(
            [
                self.binary,
                "up",
                "--config",
                self.config,
                "--state",
                self.state,
                "--listen",
                self.listen,
            ],
            log=self.directory / f"up.{self._starts}",
        )
        self.url = wait_until(self._announced, "gavel up is ready", timeout)
        return self

    def _announced(self):
        if not self.process.running():
            raise RuntimeError(f"gavel up ended with {self.process.code()}\n{self.process.tail()}")
        try:
            url = json.loads((self.state / "daemon.json").read_text())["url"]
        except (OSError, ValueError, KeyError):
            return None
        try:
            self._request(url, "GET", "/v1/health", None, self.token("operator"), 5)
        except (OSError, ValueError, KeyError, Refused):
            return None
        return url

    def kill(self):
        """kill -9 of the daemon alone, as the kernel does it when memory runs out."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def stop(self):
        """Ends the daemon in order; RuntimeError where it does not end, or not with 0, or a
        sanitizer of its build found something."""
        if not self.process:
            return
        was_running = self.process.running()
        self.process.stop(timeout=20)
        said = self.process.err()
        if (was_running and self.process.code() != 0) or _REPORT.search(said):
            raise RuntimeError(f"gavel up ended with {self.process.code()}\n{said[-4000:]}")

    # --- HTTP ---
    def token(self, role):
        return json.loads((self.state / "tokens" / f"{role}.json").read_text())["token"]

    def _request(self, url, method, path, body, token, timeout):
        connection = connect(url, timeout, self.tls)
        try:
            connection.request(
                method,
                path,
                body=json.dumps(body).encode() if body is not None else None,
                headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            )
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        try:
            value = json.loads(text) if text else {}
        except ValueError:
            value = text
        if response.status >= 300:
            raise Refused(response.status, value)
        return value

    def api(self, method, path, body=None, role="operator", timeout=60):
        return self._request(self.url, method, path, body, self.token(role), timeout)

    def mcp_url(self, session, epoch=None):
        tail = f"&epoch={epoch}" if epoch is not None else ""
        return f"{self.url}/mcp?session={session}{tail}"

    def propose(self, session, tool, arguments, epoch=None, key="", wait_ms=10_000, role="agent"):
        body = {"tool": tool, "arguments": arguments, "wait_ms": wait_ms}
        if epoch is not None:
            body["epoch"] = epoch
        if key:
            body["key"] = key
        return self.api("POST", f"/v1/sessions/{session}/intents", body, role)

    def entries(self, session):
        """The whole log of a session, as the daemon reads it from disk."""
        path = urllib.parse.quote(session, safe="")
        found, position = [], 1
        while True:
            page = self.api("GET", f"/v1/sessions/{path}/entries?from={position}&limit=500")
            found += page["entries"]
            if not page["entries"] or found[-1]["position"] >= page["tail"]:
                return found
            position = found[-1]["position"] + 1

    def of_kind(self, session, kind):
        return [entry for entry in self.entries(session) if entry["kind"] == kind]

    def session(self, name):
        return self.api("GET", f"/v1/sessions/{name}")

    def transcript(self, name):
        return self.api("GET", f"/v1/sessions/{name}/transcript")["intents"]

    def pending(self, session=None):
        found = self.api("GET", "/v1/pending")["pending"]
        return [each for each in found if session in (None, each["session"])]

    def wait_pending(self, session, timeout=60):
        return wait_until(lambda: self.pending(session), f"a call of {session} is held", timeout)[0]

    # --- command line ---
    def command(self, *arguments):
        return [self.binary, arguments[0], "--state", str(self.state), *map(str, arguments[1:])]

    def cli(self, *arguments, timeout=60):
        """Runs a subcommand: (exit code, stdout, stderr)."""
        done = subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
        return done.returncode, done.stdout, done.stderr

    def ask(self, *arguments, timeout=60):
        """A subcommand with --json that must succeed; its value."""
        code, out, err = self.cli(*arguments, "--json", timeout=timeout)
        if code != 0:
            raise RuntimeError(f"gavel {' '.join(map(str, arguments))}: exit {code}: {err or out}")
        return json.loads(out) if out.strip() else None

    def through(self, session):
        """What stands before an agent's command to run it on a session."""
        return [self.binary, "run", "--state", str(self.state), "--session", session, "--"]
