"""What everybody in a soak shares: the daemon and its lives, open sessions, marks and problems."""

import hashlib
import json
import os
import random
import threading
import time

from box import ALLOWED, servers
from breaking import Breaking
from caller import Broken, Died
from checks import Checks
from figures import Figures
from ledger import Ledger, SessionWitness
from lib.gavel import Gavel, Refused

SERVERS = ("box", "den")
REST_S = 40  # how long a session may take to come to rest after its agent left
PROBLEMS_KEPT = 40
POLICY = """
defaults: {two_step_delay: 300ms, hold_for: 3s}
budgets:
  - {name: calls, scope: session, calls: 1000000}
rules:
"""
OTHER_RULE = """
  - name: the other policy asks for large ones
    tools: ["*__write"]
    arguments: {properties: {text: {pattern: "^large"}}, required: [text]}
    verdict: ask
    reason: somebody shall look at it
"""


class Session:
    def __init__(self, name, ledger):
        self.name = name
        self.witness = SessionWitness(ledger, name)
        self.zombies = []  # epochs that somebody called with who had been replaced
        self.left_at = None


class World:
    def __init__(self, binary, directory, seed, seconds, breaking=None):
        self.seed, self.seconds = seed, seconds
        self.breaking = Breaking(breaking)
        self.ledger = Ledger(directory / "ledger", self.breaking)
        first = servers(self.ledger.path, *SERVERS) + POLICY + ALLOWED
        self.policies = [first, first + OTHER_RULE]
        self.daemon = Gavel(binary, directory / "gavel", first)
        # AddressSanitizer keeps what was freed; so much that growth would not be seen.
        kept = os.environ.get("ASAN_OPTIONS", "")
        os.environ["ASAN_OPTIONS"] = f"quarantine_size_mb=8:{kept}"
        self.figures = Figures()
        self.up = threading.Event()
        self.over = threading.Event()  # agents begin nothing new
        self.ended = threading.Event()  # everybody leaves
        self.life = 0
        self.gate = threading.Lock()  # held by who checks, and by who ends the daemon
        self.sessions = {}
        self.finished = {}  # name -> (tail, digest): what a session was when it was forgotten
        self.marks = []
        self.problems = []
        self.entries = 0
        self.codes = {}
        self.began = time.monotonic()
        self._lock = threading.Lock()

    def dice(self, *name):
        return random.Random(f"{self.seed} {' '.join(map(str, name))}")

    def now(self):
        return time.monotonic() - self.began

    # --------------------------------------------------------------------------- the daemon
    def start(self):
        """Starts it, and holds it to what open sessions were shown before it ended."""
        self.daemon.start(timeout=60)
        self.life += 1
        for session in list(self.sessions.values()):
            checks = Checks(self.daemon, session.witness)
            checks.acknowledged_is_there()
            self.take(checks, f"after start {self.life}")
        self.up.set()

    def stop(self):
        """Ends it in order."""
        self.up.clear()
        try:
            self.daemon.stop()
        except RuntimeError as error:
            self.problem(f"END: {error}")

    def kill(self):
        self.up.clear()
        self.daemon.kill()
        said = self.daemon.process.err()
        if "Sanitizer" in said or "runtime error:" in said:
            self.problem(f"SANITIZER: {said[-3000:]}")

    # ------------------------------------------------------------------------------- saying
    def problem(self, what):
        with self._lock:
            if len(self.problems) < PROBLEMS_KEPT:
                self.problems.append(f"{self.now():.1f} s: {what}")

    def mark(self, kind, what="", disturbs=False):
        mark = {"kind": kind, "what": what, "disturbs": disturbs, "from": self.now()}
        mark["to"] = mark["from"]
        self.marks.append(mark)
        return mark

    def refused(self, refused):
        """An error that a caller has to live with, or a problem."""
        code = refused.code or f"HTTP {refused.status}"
        self.figures.count(f"refused: {code}")
        if refused.status >= 500 and code not in ("unavailable", "busy", "timeout"):
            self.problem(f"ERROR: {refused}")

    def take(self, checks, when):
        self.entries += checks.entries
        for what in checks.problems:
            self.problem(f"{when}: {what}")

    # ----------------------------------------------------------------------------- sessions
    def open(self, name):
        session = Session(name, self.ledger)
        with self._lock:
            self.sessions[name] = session
        self.figures.count("sessions")
        return session

    def close_sessions(self):
        """Settles sessions that their agents left, and forgets them; as long as the soak lasts."""
        while not self.ended.is_set():
            left = [s for s in list(self.sessions.values()) if s.left_at is not None]
            for session in left:
                self.up.wait(5)
                with self.gate:
                    if self.up.is_set():
                        self.settle(session)
            self.ended.wait(0.2)

    def settle(self, session):
        try:
            phases = [each["phase"] for each in self.daemon.transcript(session.name)]
            if not all(phase in ("ok", "failed", "aborted") for phase in phases):
                if self.now() - session.left_at > REST_S:
                    self.problem(f"OPEN: {session.name} is not at rest: {phases}")
                    self.forget(session, None)
                return
            self.breaking.witness(session.name, session.witness)
            checks = Checks(self.daemon, session.witness)
            checks.acknowledged_is_there()
            checks.effects_are_decided()
            checks.outcomes_are_true()
            checks.state_is_the_fold()
            entries = checks.read(session.name)
            for epoch in session.zombies:
                if not any(
                    e["kind"] == "refused" and e["claimed_epoch"] == epoch for e in entries
                ):
                    checks.problem(f"ZOMBIE: {session.name}: epoch {epoch} was not recorded")
            self.take(checks, session.name)
            self.forget(session, entries)
        except (Refused, OSError, ValueError) as error:
            self.problem(f"CHECK: {session.name}: {type(error).__name__}: {error}")
            self.forget(session, None)

    def forget(self, session, entries):
        with self._lock:
            self.sessions.pop(session.name)
            if entries is not None:
                self.finished[session.name] = (len(entries), digest_of(entries))
        self.ledger.settle(session.name)

    def survive(self, action):
        """An agent's or a person's doing, again after each restart of the daemon until it is done;
        its value, or None where it was refused or everybody leaves."""
        while not self.ended.is_set():
            if not self.up.wait(1):
                continue
            try:
                return action()
            except Died:
                self.figures.count("calls that lost their daemon or connection")
                time.sleep(0.05)
            except Refused as refused:
                self.refused(refused)
                return None
            except Broken as broken:
                self.problem(f"BROKEN: {broken}")
                return None
        return None


def digest_of(entries):
    text = json.dumps(entries, sort_keys=True).encode()
    return hashlib.sha256(text).hexdigest()
