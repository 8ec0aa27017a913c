"""What agents and people do while the daemon is killed. It can be done again and again: each call
has its key, so a second run is what an agent does that was started anew, and what happened already
must not happen again."""

import http.client
import json
import threading
import time

from caller import PATIENCE_S, Broken, Caller, Died, StorageFailed
from lib.gavel import Refused
from lib.mcp import connect

SESSIONS = ("pay", "keyed", "held", "probe")
CONTROL = ("control/everything", "control/toolset/box")


class Workload(Caller):
    def __init__(self, daemon, witness, payload=20_000, rounds=3):
        super().__init__(daemon, witness)
        self.payload = payload
        self.rounds = rounds

    # ------------------------------------------------------------------------------- steps
    def call(self, session, tool, text, key=None, verdict="allow", **more):
        """A call, with the person who decides or looks where one is needed; its last answer."""
        step = {"tool": tool, "key": key or text[:40], "arguments": {"text": text, **more}}
        wait_ms = 40 if tool in ("ask", "drop") else 5000
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                answer = self.propose(session, step, wait_ms)
            except Refused as refused:
                # Its answer is not durable yet, and the patience was short.
                if refused.code != "timeout":
                    raise
                continue
            if answer["kind"] == "result":
                return answer
            waiting = [
                each
                for each in self.api("GET", "/v1/pending")["pending"]
                if (each["session"], each["intent"]) == (session, answer["intent"])
            ]
            # What is refused because nobody knows what became of it can be asked again, once
            # somebody has looked.
            if answer["kind"] == "refused" and not waiting:
                return answer
            for each in waiting:
                self.decide(each, verdict)
            wait_ms = 2000 if waiting else 40
        raise Broken(f"{session} {tool} {text[:40]} is still pending after {PATIENCE_S} s")

    def halt(self, halts):
        self.witness.halt_asked = True
        if halts:
            body = {"scope": "everything", "mode": "halt", "reason": "something is wrong"}
            self.api("POST", "/v1/halts", body)
        else:
            self.api("POST", "/v1/resume", {"scope": "everything", "reason": "it is well"})
        self.witness.halted, self.witness.halt_asked = halts, False

    def expect(self, answer, *kinds):
        if answer["kind"] not in kinds:
            raise Broken(f"answered {answer['kind']} instead of {' or '.join(kinds)}: {answer}")

    # ------------------------------------------------------------------------------ the run
    def run(self):
        self.lift_what_is_left()
        for session in SESSIONS:
            self.wake(session)
        for number in range(self.rounds):
            # A call whose outcome nobody could tell was resolved as failed: it is answered so.
            self.expect(self.call("pay", "write", f"pay {number}"), "result", "refused")
            self.call("pay", "look", f"pay {number}", key=f"look {number}")
        self.idempotent()
        self.people()
        self.call("probe", "probed", "probed")
        self.call("pay", "write", "large " + "x" * self.payload)
        self.together()
        self.halted()
        self.taken_over()
        self.by_mcp()
        for log in (*SESSIONS, *CONTROL):
            self.look(log)

    def lift_what_is_left(self):
        """A halt that was acknowledged is there, one that was not asked for is not."""
        self.watch()
        found = bool(self.api("GET", "/v1/halts")["halts"])
        expected = self.witness.halted
        if not self.witness.halt_asked and found != bool(expected):
            raise Broken(f"halted: {found}, but what was acknowledged is {expected}")
        if found:
            self.halt(False)

    def idempotent(self):
        self.call("keyed", "put", "put once")
        again = self.call("keyed", "put", "put once")
        if again["kind"] == "result" and not again["replayed"]:
            raise Broken(f"the same key was not answered from the log: {again}")
        self.call("keyed", "put", "put another")

    def people(self):
        self.call("held", "ask", "approved")
        self.expect(self.call("held", "ask", "denied", verdict="deny"), "refused")
        self.call("held", "drop", "in two steps")

    def together(self):
        """Two agents at once, so that their appends share syncs."""
        raised = []

        def agent(session, tool):
            try:
                for number in range(2):
                    self.call(session, tool, f"{session} together {number}")
            except (Died, StorageFailed, Broken, Refused) as error:
                raised.append(error)

        agents = [
            threading.Thread(target=agent, args=each) for each in (("pay", "write"), ("keyed", "put"))
        ]
        for each in agents:
            each.start()
        for each in agents:
            each.join()
        if raised:
            raise raised[0]

    def halted(self):
        self.halt(True)
        self.expect(self.call("pay", "write", "while halted"), "refused")
        self.halt(False)
        self.call("pay", "write", "after the halt")

    def taken_over(self):
        before = self.epoch["pay"]
        self.wake("pay")
        now, self.epoch["pay"] = self.epoch["pay"], before
        try:
            answer = self.call("pay", "write", "by the one before")
            self.expect(answer, "refused")
        except Refused as refused:
            if refused.code != "stale_epoch":
                raise
        self.epoch["pay"] = now
        self.call("pay", "write", "by the one after")

    def by_mcp(self):
        step = {"tool": "write", "key": "by mcp", "arguments": {"text": "by mcp"}}
        try:
            self.propose_by_mcp("pay", step)
        except Refused:
            pass
        # The same call by another way; a person may have to look first.
        self.call("pay", "write", "by mcp")

    # ----------------------------------------------------------------------------- watching
    def watch(self):
        """Listens to what is announced to everybody, until the daemon is gone."""
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self):
        try:
            connection = connect(self.daemon.url, PATIENCE_S)
            token = self.daemon.token("operator")
            connection.request("GET", "/v1/watch", headers={"Authorization": f"Bearer {token}"})
            for line in connection.getresponse():
                if line.startswith(b"data:"):
                    said = json.loads(line[5:])
                    self.witness.announced(said["session"], said["tail"])
        except (OSError, ValueError, KeyError, http.client.HTTPException):
            pass
