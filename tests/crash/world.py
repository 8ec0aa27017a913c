"""One cut: a daemon on a faulty disk, its death, its restart on a good one, and what is checked."""

import copy
import json
import os
import random
import re
import shutil
import signal
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from box import ALLOWED, servers
from caller import PATIENCE_S, Broken, Died, StorageFailed
from checks import Checks
from lib.gavel import Gavel, Refused
from lib.process import Process, wait_until
from witness import Witness
from workload import Workload

REPORT = re.compile(r"ERROR: \w+Sanitizer|runtime error:|ASSERT|terminate called")
DEADLY = ("before", "after", "power", "scatter", "tear")
FAULTS = ("shorten", "eio", "blip", "enospc")
MODES = (*DEADLY, *FAULTS)

CONFIG = """
defaults: {two_step_delay: 20ms}
budgets:
  - {name: calls, scope: everything, calls: 1000000}
rules:
"""


@dataclass
class Cut:
    scenario: str
    number: int
    mode: str
    seed: int
    lies: bool = False

    def command(self):
        lies = " --lie" if self.lies else ""
        return (
            f"./dev crash --scenario {self.scenario} --cut {self.number} --mode {self.mode} "
            f"--seed {self.seed}{lies}"
        )


@dataclass
class Outcome:
    cut: Cut
    kind: str = ""  # of the operation that was cut
    path: str = ""
    ended: str = ""  # how the daemon ended
    reached: bool = False
    restarts: int = 0
    entries: int = 0
    effects: int = 0
    boundaries: int = 0
    problems: list = field(default_factory=list)
    seconds: float = 0.0


class Daemon(Gavel):
    """A Gavel whose state lies on a disk of its own, which may be faulty."""

    def __init__(self, binary, directory, config):
        super().__init__(binary, directory, config)
        self.disk = self.directory / "disk"
        self.disk.mkdir()
        self.trash = self.directory / "trash"
        self.trash.mkdir()
        self.state = self.disk / "state"
        self.traces = 0

    def trace_path(self):
        return self.directory / f"trace.{self.traces}"

    def boot(self, library=None, mode="count", cut=0, seed=0, lies=False):
        """Starts it; Died where it ends before it is ready."""
        self._starts += 1
        (self.state / "daemon.json").unlink(missing_ok=True)
        environment = dict(os.environ)
        if library:
            self.traces += 1
            environment |= {
                "LD_PRELOAD": str(library),
                "GAVEL_CRASH_ROOT": str(self.disk),
                "GAVEL_CRASH_TRASH": str(self.trash),
                "GAVEL_CRASH_TRACE": str(self.trace_path()),
                "GAVEL_CRASH_MODE": mode,
                "GAVEL_CRASH_CUT": str(cut),
                "GAVEL_CRASH_SEED": str(seed),
                "GAVEL_CRASH_LIES": "1" if lies else "0",
            }
        arguments = ["--config", self.config, "--state", self.state, "--listen", self.listen]
        self.process = Process(
            [self.binary, "up", *arguments],
            log=self.directory / f"up.{self._starts}",
            environment=environment,
        )
        try:
            self.url = wait_until(self._announced, "gavel up is ready", PATIENCE_S, every=0.01)
        except RuntimeError as error:
            raise Died(str(error)) from None
        except TimeoutError:
            if self.process.running():
                raise Broken(f"gavel up is not ready\n{self.process.tail()}") from None
            raise Died("it ended while it started") from None

    def _announced(self):
        # A store that fails while the daemon starts: it listens, and says so.
        try:
            return super()._announced() or self._request_health()
        except (OSError, ValueError, KeyError):
            return None

    def _request_health(self):
        url = json.loads((self.state / "daemon.json").read_text())["url"]
        try:
            self._request(url, "GET", "/v1/health", None, self.token("operator"), PATIENCE_S)
        except Refused as refused:
            return url if refused.status == 507 else None
        return url

    def trace(self):
        """[(kind, path)] of each boundary in order, and whether the cut was reached."""
        found, dead = [], False
        try:
            lines = self.trace_path().read_text(errors="replace").splitlines()
        except OSError:
            lines = []
        for line in lines:
            number, kind, path = line.split(" ", 2)
            if number == "!":
                dead = True
            else:
                found.append((kind, path))
        return found, dead

    def end(self):
        """SIGTERM and its exit code, negative for a signal; Broken where it does not end."""
        if self.process.running():
            self.process.signal_group(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE_S)
        except TimeoutError:
            self.process.kill()
            raise Broken(f"gavel up did not end in {PATIENCE_S} s\n{self.process.tail()}") from None

    def reports(self):
        """What a sanitizer or an assertion said."""
        said = self.process.err()
        found = REPORT.search(said)
        return said[max(0, found.start() - 200) : found.start() + 3000] if found else ""


class Scenario:
    """Where a cut's store comes from: `first` starts with none, `second` with one that was killed
    amid calls, `spare` with none and writes so much that a log file is made ahead."""

    NAMES = ("first", "second", "spare")

    def __init__(self, name, binary, directory):
        self.name = name
        self.binary = binary
        self.directory = Path(directory)
        self.base = None
        self.witness = None
        if name == "second":
            self.prepare()

    def workload(self, daemon, witness):
        if self.name == "spare":
            return Heavy(daemon, witness)
        return Recovered(daemon, witness) if self.name == "second" else Workload(daemon, witness)

    def new(self):
        """A daemon that does not run yet and its witness."""
        directory = Path(tempfile.mkdtemp(prefix="cut-", dir=self.directory))
        ledger = directory / "ledger"
        config = servers(ledger, "box") + CONFIG + ALLOWED
        daemon = Daemon(self.binary, directory / "gavel", config)
        witness = Witness(ledger)
        if self.base is not None:
            shutil.rmtree(daemon.disk)
            shutil.copytree(self.base / "gavel" / "disk", daemon.disk)
            shutil.copy(self.base / "ledger", ledger)
            for name in ("seen", "tails", "answers", "epochs", "votes", "resolved", "halted"):
                setattr(witness, name, copy.deepcopy(getattr(self.witness, name)))
        return daemon, witness

    def prepare(self):
        """A daemon that is killed while calls are under way and one waits for a person."""
        daemon, witness = self.new()
        daemon.boot()
        work = Workload(daemon, witness)
        work.run()
        slow = [
            threading.Thread(target=quietly, args=(work.call, *each), daemon=True)
            for each in (("pay", "slow", "slow", None), ("keyed", "slow_put", "slow put", None))
        ]
        step = {"tool": "ask", "key": "left open", "arguments": {"text": "left open"}}
        work.propose("held", step, 1)
        for each in slow:
            each.start()
        wait_until(lambda: len([e for e in witness.ledger() if "slow" in e["text"]]) == 2, "both act")
        daemon.kill()
        for each in slow:
            each.join(PATIENCE_S)
        self.witness, self.base = witness, daemon.directory.parent


def quietly(call, session, tool, text, key):
    try:
        call(session, tool, text, key, seconds=0.4)
    except (Died, Refused):
        pass


class Recovered(Workload):
    """The workload of who finds a store that was killed amid calls."""

    def run(self):
        super().run()
        self.call("held", "ask", "left open")
        self.call("pay", "slow", "slow", seconds=0.4)
        self.call("keyed", "slow_put", "slow put", seconds=0.4)


class Heavy(Workload):
    """Writes so much that the next log file is made ahead, and taken into use."""

    def run(self):
        super().run()
        for number in range(16):
            self.call("pay", "write", f"heavy {number} " + "x" * 15_000, key=f"heavy {number}")
            # Several, as one call's payload is kept once.
            self.call("keyed", "put", f"heavy {number} " + "y" * 90_000, key=f"put {number}")
        deadline = time.monotonic() + 6
        spare = self.daemon.state / "store" / "gavel.spare"
        while time.monotonic() < deadline and self.daemon.process.running():
            if spare.exists() or not (spare.parent / "gavel.spare.tmp").exists():
                break
            time.sleep(0.02)
        for number in range(3):
            self.call("pay", "write", f"after the spare {number}")


class Player:
    """Plays cuts of one scenario."""

    def __init__(self, scenario, library, keep=False):
        self.scenario = scenario
        self.library = library
        self.keep = keep

    def boundaries(self):
        """A run without a fault: [(kind, path)] of all boundaries, and what it was worth."""
        outcome = self.play(Cut(self.scenario.name, 0, "count", 0))
        return outcome, self.trace

    def play(self, cut):
        started = time.monotonic()
        outcome = Outcome(cut)
        daemon, witness = self.scenario.new()
        try:
            self.cut(daemon, witness, cut, outcome)
            self.recover(daemon, witness, cut, outcome)
        except (Broken, Refused, Died, StorageFailed, TimeoutError, RuntimeError) as error:
            outcome.problems.append(f"{type(error).__name__}: {error}")
        finally:
            if daemon.process and daemon.process.running():
                daemon.process.kill()
        outcome.seconds = time.monotonic() - started
        if not self.keep and not outcome.problems:
            shutil.rmtree(daemon.directory.parent, ignore_errors=True)
        return outcome

    def cut(self, daemon, witness, cut, outcome):
        """Runs until the disk, or the workload, ends it."""
        work = self.scenario.workload(daemon, witness)
        failed = None
        try:
            daemon.boot(self.library, cut.mode, cut.number, cut.seed, cut.lies)
            work.run()
            if cut.mode in FAULTS:
                self.last_breath(daemon)
        except Died:
            pass
        except StorageFailed as error:
            failed = str(error)
            self.refuses_clearly(daemon, work, failed)
        code = daemon.end()
        trace, died = daemon.trace()
        self.trace = trace
        outcome.boundaries = len(trace)
        outcome.reached = len(trace) >= cut.number > 0
        if outcome.reached:
            outcome.kind, outcome.path = trace[cut.number - 1]
        outcome.ended = "store failed" if failed else f"exit {code}" if code >= 0 else "killed"
        if daemon.reports():
            raise Broken(f"it said: {daemon.reports()}")
        if died and code == -signal.SIGKILL:
            return
        if code < 0 or (code != 0 and cut.mode not in FAULTS):
            raise Broken(f"it ended with {code}\n{daemon.process.tail()}")
        if code != 0 and not re.search("gavel: cannot|FAILED|gavel: ", daemon.process.err()):
            raise Broken(f"it ended with {code} and did not say why\n{daemon.process.tail()}")

    def last_breath(self, daemon):
        """The workload is done, but for what may still be unsaid: that the store has failed."""
        try:
            daemon.api("GET", "/v1/health", timeout=PATIENCE_S)
        except Refused as refused:
            if refused.code == "storage_failed":
                raise StorageFailed(refused.message) from None
            raise
        except OSError as error:
            raise Died(str(error)) from None

    def refuses_clearly(self, daemon, work, reason):
        """The store has failed: nothing more is accepted or done, and the reason is told."""
        if not re.search("No space|Input/output|free some space|I/O error", reason):
            raise Broken(f"the failure does not say why: {reason}")
        before = work.witness.ledger()
        for _ in range(2):
            try:
                work.epoch.setdefault("pay", 1)
                step = {"tool": "write", "key": "late", "arguments": {"text": "after the failure"}}
                answer = work.propose("pay", step, 500)
                raise Broken(f"answered after the store failed: {answer}")
            except StorageFailed:
                pass
        try:
            daemon.api("GET", "/v1/health", timeout=PATIENCE_S)
            raise Broken("health is good after the store failed")
        except Refused as refused:
            if refused.status != 507:
                raise Broken(f"health says {refused}") from None
        if any(line["text"] == "after the failure" for line in work.witness.ledger()):
            raise Broken(f"acted after the store failed: {work.witness.ledger()[len(before):]}")

    def recover(self, daemon, witness, cut, outcome):
        checks = Checks(daemon, witness)
        try:
            self.recover_and_check(daemon, witness, cut, outcome, checks)
        finally:
            outcome.entries += checks.entries
            outcome.effects += checks.effects
        checks.raise_if_any()

    def recover_and_check(self, daemon, witness, cut, outcome, checks):
        checks.store_verifies("after the crash")
        dice = random.Random(f"{cut.scenario} {cut.number} {cut.mode} {cut.seed}")
        if cut.mode in DEADLY and dice.random() < 0.25 and not cut.lies:
            self.crash_again(daemon, witness, dice)
            outcome.restarts += 1
            checks.store_verifies("after the second crash")
        self.start(daemon)
        outcome.restarts += 1
        checks.acknowledged_is_there()
        checks.effects_are_decided()
        checks.raise_if_any()
        self.scenario.workload(daemon, witness).run()
        checks.state_is_the_fold()
        checks.effects_are_decided()
        checks.outcomes_are_true()
        if dice.random() < 0.1 or cut.mode == "count":
            checks.command_line_agrees()
        code = daemon.end()
        if code != 0 or daemon.reports():
            raise Broken(f"after the restart it ended with {code}\n{daemon.process.tail()}")
        checks.store_verifies("at the end")

    def start(self, daemon):
        try:
            daemon.boot()
        except Died as died:
            raise Broken(f"it does not start again: {died}") from None

    def crash_again(self, daemon, witness, dice):
        """A restart that is cut itself, at any of its boundaries."""
        mode = dice.choice(DEADLY)
        try:
            daemon.boot(self.library, mode, dice.randint(1, 80), dice.getrandbits(31))
            self.scenario.workload(daemon, witness).run()
        except Died:
            pass
        code = daemon.end()
        if daemon.reports() or code not in (0, -signal.SIGKILL):
            raise Broken(f"the second crash ended with {code}\n{daemon.process.tail()}")
