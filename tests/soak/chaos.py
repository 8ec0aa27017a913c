"""What goes wrong, and when: a plan drawn from the seed, played on the main thread."""

import hashlib
import os
import signal
import socket
import time
import urllib.parse

from caller import Broken, Died
from lib.gavel import Refused
from lib.process import tree_of, wait_until

# Two of twelve end the daemon, so that its lives are long enough to grow in.
DECK = (
    "kill_server",
    "reload",
    "kill_daemon",
    "halt",
    "connections",
    "kill_server",
    "freeze",
    "stop_daemon",
    "reload",
    "halt",
    "kill_server",
    "connections",
)
SCOPES = ("everything", "agent:agent", "toolset:box", "toolset:den", "session")
QUIET_END_S = 3


def plan(seconds, dice):
    """[(second, what)]: bursts with calm between them; a short run is one burst."""
    found, at, deck = [], 3.0, []
    while at < seconds - QUIET_END_S:
        for _ in range(dice.randint(1, 3) if seconds > 60 else 99):
            if at >= seconds - QUIET_END_S:
                break
            if not deck:
                deck = list(DECK)
                dice.shuffle(deck)
            found.append((round(at, 1), deck.pop()))
            at += dice.uniform(1.0, 2.5)
        at += dice.uniform(14, 24)
    return found


class Chaos:
    def __init__(self, world):
        self.world = world
        self.dice = world.dice("chaos")
        self.policy = 0

    def play(self):
        for at, what in plan(self.world.seconds, self.dice):
            time.sleep(max(0, at - self.world.now()))
            self.world.figures.count(f"chaos: {what}")
            try:
                getattr(self, what)()
            except (Broken, Died, Refused, OSError, TimeoutError, RuntimeError) as error:
                self.world.problem(f"CHAOS: {what}: {type(error).__name__}: {error}")
                if not self.world.daemon.process.running():
                    return
        time.sleep(max(0, self.world.seconds - self.world.now()))

    def api(self, method, path, body=None):
        return self.world.daemon.api(method, path, body, timeout=20)

    # ------------------------------------------------------------------------------- deaths
    def kill_server(self):
        """One of the daemon's children, or all."""
        children = tree_of(self.world.daemon.process.pid)[1:]
        self.dice.shuffle(children)
        self.world.mark("server killed", disturbs=True)
        for each in children[: self.dice.choice((1, 1, len(children)))]:
            try:
                os.kill(each, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def kill_daemon(self):
        self.renew("daemon killed", self.world.kill)

    def stop_daemon(self):
        self.renew("daemon stopped", self.world.stop)

    def renew(self, name, end):
        with self.world.gate:
            mark = self.world.mark(name, disturbs=True)
            end()
            self.world.start()
            mark["to"] = self.world.now()

    # -------------------------------------------------------------------------------- halts
    def halt(self):
        self.stand_still("halt")

    def freeze(self):
        self.stand_still("freeze")

    def stand_still(self, mode):
        scope = self.dice.choice(SCOPES)
        if scope == "session":
            names = sorted(self.world.sessions)
            scope = f"session:{self.dice.choice(names)}" if names else "everything"
        mark = self.world.mark(mode, scope, disturbs=True)
        self.api("POST", "/v1/halts", {"scope": scope, "mode": mode, "reason": "the soak says so"})
        try:
            self.nothing_happens(scope)
            if self.dice.random() < 0.25:
                self.kill_daemon()
                self.world.figures.count("chaos: killed while halted")
                if scope not in [each["scope"] for each in self.api("GET", "/v1/halts")["halts"]]:
                    self.world.problem(f"HALT: the {mode} of {scope} was forgotten by a restart")
                self.nothing_happens(scope)
        finally:
            self.api("POST", "/v1/resume", {"scope": scope, "reason": "it is well"})
            mark["to"] = self.world.now()

    def nothing_happens(self, scope):
        """What was sent before the halt may end; then its scope does nothing."""

        def at_rest():
            told = self.api("GET", "/v1/upstreams")["upstreams"]
            return all(each["in_flight"] == 0 for each in told)

        if scope not in ("everything", "agent:agent"):
            time.sleep(self.dice.uniform(0.3, 1.5))
            return
        wait_until(at_rest, "what was sent before the halt has ended", 20)
        self.world.ledger.advance()
        before = self.world.ledger.read_up_to
        time.sleep(self.dice.uniform(0.3, 1.5))
        self.world.ledger.advance()
        if self.world.ledger.read_up_to != before:
            self.world.problem(f"HALT: something happened although {scope} was halted")

    # ------------------------------------------------------------------------------- others
    def reload(self):
        self.policy = 1 - self.policy
        text = self.world.policies[self.policy]
        beside = self.world.daemon.config.with_suffix(".new")
        beside.write_text(text)
        beside.rename(self.world.daemon.config)
        self.world.mark("reload")
        after = self.api("POST", "/v1/policy/reload", {})["after"]
        in_force = self.api("GET", "/v1/policy")["version"]
        if not after == in_force == hashlib.sha256(text.encode()).hexdigest():
            self.world.problem(f"POLICY: {after} was loaded, {in_force} is in force")

    def connections(self):
        """A client that opens many, says half of something, and leaves."""
        self.world.mark("connections")
        url = urllib.parse.urlsplit(self.world.daemon.url)
        opened = []
        try:
            for number in range(200):
                opened.append(socket.create_connection((url.hostname, url.port), timeout=5))
                if number % 3 == 0:
                    opened[-1].sendall(b"POST /v1/halts HTTP/1.1\r\nContent-Le")
            time.sleep(self.dice.uniform(0.2, 1.5))
        finally:
            for each in opened:
                each.close()
