"""The deaths of everything around a daemon that lives on: its tool server, agents and people whose
connections end before they have their answer, and those who watch. At each request of the workload
in turn; then everything is asked again, and the checks are those of a crash."""

import http.client
import json
import os
import random
import shutil
import signal
import threading
import time

from caller import PATIENCE_S, Broken, Died
from checks import Checks
from lib.mcp import connect
from lib.process import tree_of
from workload import Workload
from world import Cut, Outcome

MODES = ("server", "agent", "person", "watcher")


class Interrupted(Workload):
    """The workload, until its request number `moment`: there somebody dies."""

    def __init__(self, daemon, witness, moment=0, mode="", seed=0):
        super().__init__(daemon, witness)
        self.moment = moment
        self.mode = mode
        self.dice = random.Random(f"{moment} {mode} {seed}")
        self.requests = []
        self.counting = threading.Lock()
        self.watching = None

    def api(self, method, path, body=None, role="operator"):
        with self.counting:
            self.requests.append((role if method == "POST" else "look", path))
            now = len(self.requests) == self.moment
        if now and self.mode == "server":
            self.kill_server_soon()
        elif now and self.mode == "watcher":
            if self.watching is not None:
                self.watching.close()
            self.watch()
        elif now:
            self.leave(method, path, body, role, self.dice)
            raise Died("the client left")
        return super().api(method, path, body, role)

    def kill_server_soon(self):
        """Before the call, or while it is under way."""
        servers = tree_of(self.daemon.process.pid)[1:]
        delay = self.dice.choice((0, 0.001, 0.003, 0.01))

        def kill():
            time.sleep(delay)
            for each in servers:
                try:
                    os.kill(each, signal.SIGKILL)
                except ProcessLookupError:
                    pass

        thread = threading.Thread(target=kill)
        thread.start()
        if delay == 0:
            thread.join()

    def _watch(self):
        """Listens, and keeps the socket where it can be closed."""
        try:
            if not (self.daemon.state / "tokens/watcher.json").exists():
                self.daemon.cli("token", "new", "watcher", "--role", "observer")
            connection = connect(self.daemon.url, PATIENCE_S)
            token = self.daemon.token("watcher")
            connection.request("GET", "/v1/watch", headers={"Authorization": f"Bearer {token}"})
            self.watching = connection.sock
            for line in connection.getresponse():
                if line.startswith(b"data:"):
                    said = json.loads(line[5:])
                    self.witness.announced(said["session"], said["tail"])
        except (OSError, ValueError, KeyError, AttributeError, http.client.HTTPException):
            pass


class PeerPlayer:
    """Plays one death around a living daemon."""

    def __init__(self, scenario, keep=False):
        self.scenario = scenario
        self.keep = keep

    def boundaries(self):
        outcome = self.play(Cut("peers", 0, "none", 0))
        return outcome, self.requests

    def play(self, cut):
        started = time.monotonic()
        outcome = Outcome(cut)
        daemon, witness = self.scenario.new()
        checks = Checks(daemon, witness)
        try:
            daemon.boot()
            work = Interrupted(daemon, witness, cut.number, cut.mode, cut.seed)
            try:
                work.run()
            except Died:
                pass
            self.requests = work.requests
            outcome.reached = 0 < cut.number <= len(work.requests)
            if outcome.reached:
                outcome.kind, outcome.path = work.requests[cut.number - 1]
            if not daemon.process.running():
                raise Broken(f"the daemon died too\n{daemon.process.tail()}")
            checks.acknowledged_is_there()
            Workload(daemon, witness).run()
            checks.state_is_the_fold()
            checks.effects_are_decided()
            checks.outcomes_are_true()
            code = daemon.end()
            if code != 0 or daemon.reports():
                raise Broken(f"it ended with {code}\n{daemon.process.tail()}")
            checks.store_verifies("at the end")
            checks.raise_if_any()
        except Exception as error:  # noqa: BLE001: whatever it is, this death went wrong
            outcome.problems.append(f"{type(error).__name__}: {error}")
        finally:
            if daemon.process and daemon.process.running():
                daemon.process.kill()
        outcome.entries, outcome.effects = checks.entries, checks.effects
        outcome.seconds = time.monotonic() - started
        if not self.keep and not outcome.problems:
            shutil.rmtree(daemon.directory.parent, ignore_errors=True)
        return outcome
